/* SPDX-License-Identifier: ISC */
/*
 * In the place of libbpf's header, as bpf_helpers.h is.
 */
#ifndef MCRELAY_IN_USER_BPF_ENDIAN_H
#define MCRELAY_IN_USER_BPF_ENDIAN_H

/* No header that has what <linux/in.h> has. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(value)	__builtin_bswap16((__u16)(value))
#else
#define bpf_htons(value)	(value)
#endif
#define bpf_ntohs(value)	bpf_htons(value)

#endif /* MCRELAY_IN_USER_BPF_ENDIAN_H */
