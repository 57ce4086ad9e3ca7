package rpm

import "slices"

// A tag names an entry of a header. Names follow rpm's own (rpmtag.h), so that
// they can be looked up there and with `rpm --querytags`.
type tag int32

// A dataType is the type of an entry's values.
type dataType uint32

// The nine types of values, and null, which nothing uses.
const (
	typeNull        dataType = 0
	typeChar        dataType = 1
	typeInt8        dataType = 2
	typeInt16       dataType = 3
	typeInt32       dataType = 4
	typeInt64       dataType = 5
	typeString      dataType = 6 // exactly one
	typeBin         dataType = 7
	typeStringArray dataType = 8
	typeI18NString  dataType = 9 // one for each locale of tagI18NTable
)

// size is the number of bytes of one value; 0 for strings.
func (t dataType) size() int {
	switch t {
	case typeChar, typeInt8, typeBin:
		return 1
	case typeInt16:
		return 2
	case typeInt32:
		return 4
	case typeInt64:
		return 8
	}
	return 0
}

func (t dataType) isString() bool {
	return t == typeString || t == typeStringArray || t == typeI18NString
}

// Regions: the entry that comes first and says which part of a header is
// covered by its digests.
const (
	tagRegionSignatures tag = 62 // HEADERSIGNATURES
	tagRegionImmutable  tag = 63 // HEADERIMMUTABLE
)

// Tags of the signature header. Some numbers below 1000 are shared with the
// main header, those above mean something else there.
const (
	sigSHA1            tag = 269  // of the main header, hex
	sigLongSize        tag = 270  // sigSize, where 32 bits are not enough
	sigLongArchiveSize tag = 271  // sigPayloadSize, where 32 bits are not enough
	sigSHA256          tag = 273  // of the main header, hex
	sigSize            tag = 1000 // bytes of the main header and the payload
	sigMD5             tag = 1004 // of the main header and the payload
	sigPayloadSize     tag = 1007 // bytes of the uncompressed payload
	sigReservedSpace   tag = 1008 // zeros that a signature can take the place of
)

// Tags of the signature header that have OpenPGP signatures. The first two are of the
// main header, the next two of it and the payload; each pair has RSA and the rest.
// The last has any number, in base64, of the main header of a package of rpm 6.
const (
	sigDSA     tag = 267
	sigRSA     tag = 268
	sigPGP     tag = 1002 // of RSA
	sigPGP5    tag = 1006 // of rpm before 3
	sigGPG     tag = 1005 // of other keys
	sigOpenPGP tag = 278
)

// isOpenPGP says whether a tag of the signature header has OpenPGP signatures.
func (t tag) isOpenPGP() bool {
	return slices.Contains([]tag{sigDSA, sigRSA, sigPGP, sigPGP5, sigGPG, sigOpenPGP}, t)
}

// Tags that only packages of rpm 6 have, in its own format: docs/manual/format_v6.md
// in rpm's source. Its packages have no digest but of the header in their signature
// header, those of the payload in the main header, and the payload's archive is
// always stripped.
const (
	sigSHA3     tag = 279 // SHA3-256 of the main header, hex
	sigReserved tag = 999 // sigReservedSpace of these packages

	tagRPMFormat        tag = 5114 // 6
	tagPayloadSize      tag = 5112 // bytes of the payload as it is in the file
	tagPayloadSizeAlt   tag = 5113 // bytes of the uncompressed payload
	tagPayloadSHA512    tag = 5121
	tagPayloadSHA512Alt tag = 5122
	tagPayloadSHA3      tag = 5123
	tagPayloadSHA3Alt   tag = 5124
)

// Tags of the main header.
const (
	tagI18NTable         tag = 100
	tagName              tag = 1000
	tagVersion           tag = 1001
	tagRelease           tag = 1002
	tagEpoch             tag = 1003
	tagSummary           tag = 1004
	tagDescription       tag = 1005
	tagBuildTime         tag = 1006 // seconds
	tagBuildHost         tag = 1007
	tagSize              tag = 1009 // bytes on disk
	tagVendor            tag = 1011
	tagLicense           tag = 1014
	tagPackager          tag = 1015
	tagGroup             tag = 1016
	tagURL               tag = 1020
	tagOS                tag = 1021
	tagArch              tag = 1022
	tagPreIn             tag = 1023
	tagPostIn            tag = 1024
	tagPreUn             tag = 1025
	tagPostUn            tag = 1026
	tagOldFileNames      tag = 1027
	tagFileSizes         tag = 1028
	tagFileModes         tag = 1030
	tagFileRDevs         tag = 1033
	tagFileMTimes        tag = 1034
	tagFileDigests       tag = 1035
	tagFileLinkTos       tag = 1036
	tagFileFlags         tag = 1037
	tagFileUserName      tag = 1039
	tagFileGroupName     tag = 1040
	tagSourceRPM         tag = 1044
	tagFileVerifyFlags   tag = 1045
	tagProvideName       tag = 1047
	tagRequireFlags      tag = 1048
	tagRequireName       tag = 1049
	tagRequireVersion    tag = 1050
	tagConflictFlags     tag = 1053
	tagConflictName      tag = 1054
	tagConflictVersion   tag = 1055
	tagRPMVersion        tag = 1064
	tagTriggerScripts    tag = 1065
	tagTriggerName       tag = 1066
	tagTriggerVersion    tag = 1067
	tagTriggerFlags      tag = 1068
	tagTriggerIndex      tag = 1069
	tagVerifyScript      tag = 1079
	tagChangelogTime     tag = 1080
	tagChangelogName     tag = 1081
	tagChangelogText     tag = 1082
	tagPreInProg         tag = 1085
	tagPostInProg        tag = 1086
	tagPreUnProg         tag = 1087
	tagPostUnProg        tag = 1088
	tagObsoleteName      tag = 1090
	tagVerifyScriptProg  tag = 1091
	tagTriggerScriptProg tag = 1092
	tagCookie            tag = 1094
	tagFileDevices       tag = 1095
	tagFileInodes        tag = 1096
	tagFileLangs         tag = 1097
	tagPrefixes          tag = 1098
	tagProvideFlags      tag = 1112
	tagProvideVersion    tag = 1113
	tagObsoleteFlags     tag = 1114
	tagObsoleteVersion   tag = 1115
	tagDirIndexes        tag = 1116
	tagBaseNames         tag = 1117
	tagDirNames          tag = 1118
	tagOptFlags          tag = 1122
	tagPayloadFormat     tag = 1124
	tagPayloadCompressor tag = 1125
	tagPayloadFlags      tag = 1126
	tagPlatform          tag = 1132
	tagFileColors        tag = 1140
	tagFileClass         tag = 1141
	tagClassDict         tag = 1142
	tagFileDependsX      tag = 1143
	tagFileDependsN      tag = 1144
	tagDependsDict       tag = 1145
	tagPreTrans          tag = 1151
	tagPostTrans         tag = 1152
	tagPreTransProg      tag = 1153
	tagPostTransProg     tag = 1154

	tagLongFileSizes  tag = 5008
	tagLongSize       tag = 5009
	tagFileCaps       tag = 5010
	tagFileDigestAlgo tag = 5011

	tagRecommendName     tag = 5046
	tagRecommendVersion  tag = 5047
	tagRecommendFlags    tag = 5048
	tagSuggestName       tag = 5049
	tagSuggestVersion    tag = 5050
	tagSuggestFlags      tag = 5051
	tagSupplementName    tag = 5052
	tagSupplementVersion tag = 5053
	tagSupplementFlags   tag = 5054
	tagEnhanceName       tag = 5055
	tagEnhanceVersion    tag = 5056
	tagEnhanceFlags      tag = 5057
	tagEncoding          tag = 5062

	tagFileTriggerScripts         tag = 5066
	tagFileTriggerScriptProg      tag = 5067
	tagFileTriggerName            tag = 5069
	tagFileTriggerIndex           tag = 5070
	tagFileTriggerVersion         tag = 5071
	tagFileTriggerFlags           tag = 5072
	tagTransFileTriggerScripts    tag = 5076
	tagTransFileTriggerScriptProg tag = 5077
	tagTransFileTriggerName       tag = 5079
	tagTransFileTriggerIndex      tag = 5080
	tagTransFileTriggerVersion    tag = 5081
	tagTransFileTriggerFlags      tag = 5082
	tagFileTriggerPriorities      tag = 5084
	tagTransFileTriggerPriorities tag = 5085

	tagPayloadDigest     tag = 5092 // SHA-256 of the payload as it is in the file, hex
	tagPayloadDigestAlgo tag = 5093
	tagPayloadDigestAlt  tag = 5097 // SHA-256 of the uncompressed payload, hex
	tagPreUnTrans        tag = 5103
	tagPostUnTrans       tag = 5104
	tagPreUnTransProg    tag = 5105
	tagPostUnTransProg   tag = 5106
)
