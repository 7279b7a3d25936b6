/* SPDX-License-Identifier: ISC */
/*
 * Waking another thread or process by an eventfd that both have.  Any
 * process.
 */
#ifndef MCRELAY_WAKE_H
#define MCRELAY_WAKE_H

#include "common/compiler.h"

/* A new one, non-blocking and close-on-exec; -1 with errno. */
int	wake_open(void) ATTR_UNUSED_RESULT;
/* Whoever polls `fd' wakes up.  Never waits: one that is full already does so
 * anyway. */
void	wake_post(int fd);
/* Takes all wake-ups; that there are none is no error. */
void	wake_take(int fd);

#endif /* MCRELAY_WAKE_H */
