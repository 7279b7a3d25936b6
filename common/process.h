/* SPDX-License-Identifier: ISC */
/*
 * Other processes, and what this one is to the system.  Any process.
 *
 * A process is a descriptor where the system has such ones; else its number,
 * and then a child is only signalled while it is ours.
 */
#ifndef MCRELAY_PROCESS_H
#define MCRELAY_PROCESS_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/compiler.h"

/* A child that nobody has reaped; -1 with errno. */
int	process_open(pid_t pid);
/* -1 is allowed. */
void	process_close(int process);
/* Kills it; 0, or -1 with errno. */
int	process_kill(int process);
/* Waits for its end, and reaps it. */
void	process_reap(int process);
/* Whether it ends within so long; it is not reaped. */
bool	process_ends_within(int process, unsigned ms);

/* This process is killed when its parent dies.  Where the system cannot it has
 * to notice by what it shares with that.  0, or -1 with errno. */
int	process_end_with_parent(void);
/* No program that it executes gives it a privilege.  0, or -1 with errno. */
int	process_gain_nothing(void);
/* Nobody traces it or has its memory. */
void	process_hide(void);
/* Sleeps of the calling thread end when they are to. */
void	process_sleep_exactly(void);
/* For threads that take memory when they begin, not at work: all share one
 * heap, where each would have address space and pages of its own.  Before there
 * are any. */
void	process_share_heap(void);
/* Closes all descriptors from this one on. */
int	process_close_from(int first);

#endif /* MCRELAY_PROCESS_H */
