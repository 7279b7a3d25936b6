/* SPDX-License-Identifier: ISC */
/*
 * What all programs of ours in the kernel have together (kernel_program.h,
 * xdp_program.h).  Supervisor only.  Of a mcrelayd with libbpf.
 */
#ifndef MCRELAY_IN_KERNEL_H
#define MCRELAY_IN_KERNEL_H

#include <stdint.h>

/* From now on libbpf tells what goes wrong by errno alone. */
void	in_kernel_be_quiet(void);
/* Why one cannot be loaded, for people. */
const char	*in_kernel_why(int error);
/* The number of one that is loaded, as bpftool knows it; 0: not known. */
uint32_t	in_kernel_id(int fd);

#endif /* MCRELAY_IN_KERNEL_H */
