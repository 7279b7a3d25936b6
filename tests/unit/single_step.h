/* SPDX-License-Identifier: ISC */
/*
 * A child that is run one instruction at a time.
 */
#ifndef MCRELAY_SINGLE_STEP_H
#define MCRELAY_SINGLE_STEP_H

#include <stdbool.h>
#include <sys/types.h>

/* After how many instructions all is checked: with a sanitizer, which finds
 * what is wrong in the checked code wherever it begins, not after each. */
#ifdef SANITIZED
#define STEP_EACH	293U
#else
#define STEP_EACH	1U
#endif

/* In the child: what follows is stepped through. */
void	single_step_here(void);

/* In the parent: until the child is there. */
void	single_step_begin(pid_t pid);
/* One instruction further; false when it has exited, with status 0. */
bool	single_step(pid_t pid);

#endif /* MCRELAY_SINGLE_STEP_H */
