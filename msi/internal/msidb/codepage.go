package msidb

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// codepages by their numbers in Windows, without 0 and 65001.
func codepage(number int) encoding.Encoding {
	switch number {
	case 437:
		return charmap.CodePage437
	case 850:
		return charmap.CodePage850
	case 852:
		return charmap.CodePage852
	case 866:
		return charmap.CodePage866
	case 874:
		return charmap.Windows874
	case 932:
		return japanese.ShiftJIS
	case 936:
		return simplifiedchinese.GBK
	case 949:
		return korean.EUCKR
	case 950:
		return traditionalchinese.Big5
	case 1250:
		return charmap.Windows1250
	case 1251:
		return charmap.Windows1251
	case 1252:
		return charmap.Windows1252
	case 1253:
		return charmap.Windows1253
	case 1254:
		return charmap.Windows1254
	case 1255:
		return charmap.Windows1255
	case 1256:
		return charmap.Windows1256
	case 1257:
		return charmap.Windows1257
	case 1258:
		return charmap.Windows1258
	}
	return nil
}

// checkCodepage says if a code page is not known here.
func checkCodepage(number int) error {
	if number != 0 && number != 65001 && codepage(number) == nil {
		return fmt.Errorf("code page %d is not supported", number)
	}
	return nil
}

// encodeText is a string in a code page that checkCodepage knows.
func encodeText(number int, s string) (string, error) {
	switch {
	case isASCII(s):
		return s, nil
	case number == 0:
		return "", errors.New("code page 0 has ASCII alone; choose 1252 or 65001")
	case !utf8.ValidString(s):
		return "", errors.New("it is not valid UTF-8")
	case number == 65001:
		return s, nil
	}
	b, err := codepage(number).NewEncoder().String(s)
	if err != nil {
		return "", fmt.Errorf("code page %d does not have all its characters", number)
	}
	return b, nil
}

// decodeText is a string of a code page that checkCodepage knows. What is not of the
// code page becomes U+FFFD. Code page 0, which stands for that of the machine, is
// UTF-8 or else 1252: other programs write both.
func decodeText(number int, b []byte) string {
	s := string(b)
	switch {
	case isASCII(s):
		return s
	case number == 65001 || number == 0 && utf8.Valid(b):
		return strings.ToValidUTF8(s, "\ufffd")
	case number == 0:
		number = 1252
	}
	s, err := codepage(number).NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return s
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
