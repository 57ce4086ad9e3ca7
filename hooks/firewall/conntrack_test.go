package firewall

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSockets(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the text below is that of a little-endian machine")
	}
	const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100000A:0016 0200000A:C000 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100000A:C001 0200000A:0050 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   3: 0100000A:C002 0200000A:0050 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
`
	const tcp6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A
   1: 0000000000000000FFFF00000100000A:01BB 0000000000000000FFFF00000200000A:C003 01
   2: B80D0120000000000000000001000000:01BB B80D0120000000000000000002000000:C004 01
`
	v4 := func(last byte, port uint16) endpoint { return endpoint{addr: [16]byte{10, 0, 0, last}, port: port} }
	v6 := func(last byte, port uint16) endpoint {
		return endpoint{v6: true, addr: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: last}, port: port}
	}
	want := []flow{
		{client: v4(2, 0xc000), server: v4(1, 22)},
		{client: v4(1, 0xc001), server: v4(2, 80)},
		{client: v4(2, 0xc003), server: v4(1, 443)},
		{client: v6(2, 0xc004), server: v6(1, 443)},
	}
	if diff := cmp.Diff(want, parseSockets(tcp, tcp6), cmp.AllowUnexported(flow{}, endpoint{})); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
}
