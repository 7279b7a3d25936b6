/* SPDX-License-Identifier: ISC */
/*
 * Before Linux 6.8, who may load programs but not look into the kernel (CAP_BPF
 * without CAP_PERFMON) cannot write to a part of a word of eight bytes on the
 * stack at whose beginning four or eight bytes were written from a register
 * ("attempt to corrupt spilled pointer on stack").  So the other part has to be
 * written before, and the compiler to be told that it is.  Compiled for the
 * kernel.
 */
#ifndef MCRELAY_BPF_APART_H
#define MCRELAY_BPF_APART_H

#define APART(it)	__asm__ volatile("" : : "r"(it) : "memory")

#endif /* MCRELAY_BPF_APART_H */
