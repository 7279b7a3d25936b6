/* SPDX-License-Identifier: ISC */
/*
 * A child that is run one instruction at a time.
 */
#ifndef MCRELAY_SINGLE_STEP_H
#define MCRELAY_SINGLE_STEP_H

#include <stdbool.h>
#include <sys/types.h>

/* In the child: what follows is stepped through. */
void	single_step_here(void);

/* In the parent: until the child is there. */
void	single_step_begin(pid_t pid);
/* One instruction further; false when it has exited, with status 0. */
bool	single_step(pid_t pid);

#endif /* MCRELAY_SINGLE_STEP_H */
