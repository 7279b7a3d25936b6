/* SPDX-License-Identifier: ISC */
/*
 * In the place of libbpf's header where a program for the kernel is compiled as
 * a part of a test: the maps are nothing, the functions are the test's.
 */
#ifndef MCRELAY_IN_USER_BPF_HELPERS_H
#define MCRELAY_IN_USER_BPF_HELPERS_H

#include <stdint.h>

#define SEC(name)
#define __uint(name, value)	int (*name)[value]
#define __type(name, value)	__typeof__(value) *name

struct xdp_md;

void	*bpf_map_lookup_elem(void *map, const void *key);
long	bpf_redirect_map(void *map, uint64_t key, uint64_t flags);
uint64_t	bpf_xdp_get_buff_len(struct xdp_md *ctx);
long	bpf_xdp_adjust_meta(struct xdp_md *ctx, int delta);
uint64_t	bpf_ktime_get_ns(void);

#endif /* MCRELAY_IN_USER_BPF_HELPERS_H */
