/* SPDX-License-Identifier: ISC */
/*
 * The program that relays in the kernel (bpf/kernel_relay.bpf.c): loaded, put
 * at interfaces, and told what to do.  Supervisor only.  Knows nothing of
 * channels: kernel_path.h is its only user.
 *
 * At an interface it is a filter of tc (clsact), which stays when we are gone,
 * with its map: so a process that was killed leaves it at work.  It is known
 * again by its handle, and replaced in one step by the one that comes next.
 */
#ifndef MCRELAY_KERNEL_PROGRAM_H
#define MCRELAY_KERNEL_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/kernel_relay.h"
#include "common/compiler.h"

#define KERNEL_WHY_SIZE	160

struct kernel_program;

/* NULL: it cannot be had, and `why' says why, for people. */
struct kernel_program	*kernel_program_load(char why[KERNEL_WHY_SIZE])
			    ATTR_NONNULL;
/* What it has been put at stays as it is. */
void	kernel_program_free(struct kernel_program *program);
uint32_t	kernel_program_id(const struct kernel_program *program)
		    ATTR_NONNULL;

/* Each in one step: a datagram is treated as before, or as from now on.  0, or
 * -1 with errno.  `anew': it is counted from zero. */
int	kernel_program_set(const struct kernel_program *program,
	    const struct kernel_key *key, const struct kernel_route *route,
	    bool anew) ATTR_NONNULL;
void	kernel_program_delete(const struct kernel_program *program,
	    const struct kernel_key *key) ATTR_NONNULL;

/* Adds what has been counted for the key. */
void	kernel_program_count(const struct kernel_program *program,
	    const struct kernel_key *key, struct kernel_counts *sum)
	    ATTR_NONNULL;

/* Puts it at the interface, in place of one that is there by the same handle,
 * whoever put that there.  0, or -1 with errno. */
int	kernel_program_attach(const struct kernel_program *program,
	    uint32_t ifindex, uint32_t handle) ATTR_NONNULL;
/* Takes away what has the handle there. */
void	kernel_program_detach(uint32_t ifindex, uint32_t handle);
/* The number of the program there; 0: none, or it cannot be known. */
uint32_t	kernel_program_at(uint32_t ifindex, uint32_t handle);

#endif /* MCRELAY_KERNEL_PROGRAM_H */
