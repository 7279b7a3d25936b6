/* SPDX-License-Identifier: ISC */
/*
 * What the service manager is told: sd_notify(3)'s protocol, datagrams to the
 * socket that NOTIFY_SOCKET names.  Supervisor only.
 *
 * Without NOTIFY_SOCKET nothing of this does anything.  A manager that does
 * not read is waited for no longer than NOTIFY_WAIT_MS, and then not spoken
 * to for a while.
 */
#ifndef MCRELAY_NOTIFY_H
#define MCRELAY_NOTIFY_H

#include <ev.h>
#include <stdbool.h>

#include "common/compiler.h"

#define NOTIFY_WAIT_MS		100
#define NOTIFY_BARRIER_MS	1000

/* Reads the environment, starts the watchdog's timer. */
void	notify_init(struct ev_loop *loop) ATTR_NONNULL;
void	notify_done(struct ev_loop *loop) ATTR_NONNULL;
/* Whether there is somebody to be told. */
bool	notify_active(void);

/* These are repeated until the manager has got the latest of them. */
void	notify_ready(void);
void	notify_reloading(void);
void	notify_stopping(void);
/* One line; what was said last is not said again.  To be called now and
 * then, also to repeat what the manager could not be told. */
void	notify_status(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* Has the manager keep `fd' under this name; false: it was not told. */
bool	notify_store(const char *name, int fd) ATTR_NONNULL;
bool	notify_remove(const char *name) ATTR_NONNULL;
/* Waits, not longer than NOTIFY_BARRIER_MS, until the manager has dealt with
 * all that it was told. */
void	notify_barrier(void);

#endif /* MCRELAY_NOTIFY_H */
