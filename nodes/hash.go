package nodes

import "hash/crc32"

// Hash returns HAProxy's crc32(1) of namespace/name: the CRC-32 of zlib, its bits mixed by one of Bob Jenkins' integer hashes,
// and multiplied by a number near three quarters of the range.
func Hash(namespace, name string) uint32 {
	crc := ^addCRC(addCRC(addCRC(^uint32(0), namespace), "/"), name)
	crc = crc + 0x7ed55d16 + crc<<12
	crc = crc ^ 0xc761c23c ^ crc>>19
	crc = crc + 0x165667b1 + crc<<5
	crc = (crc + 0xd3a2646c) ^ crc<<9
	crc = crc + 0xfd7046c5 + crc<<3
	crc = crc ^ 0xb55a4f09 ^ crc>>16
	return crc * 0xc0000001
}

// addCRC continues a CRC-32 with s. Package crc32 takes bytes, into which s would have to be copied.
func addCRC(crc uint32, s string) uint32 {
	for i := range len(s) {
		crc = crc32.IEEETable[byte(crc)^s[i]] ^ crc>>8
	}
	return crc
}
