/* SPDX-License-Identifier: ISC */
/*
 * The control socket, mcrelayd.sock in run_dir.  A client connects, sends
 * one line of JSON, gets one line back and is disconnected.  Supervisor only.
 *
 * The number of clients, of each user and of all, the size of what they send
 * and the time they may take are bounded: who sends rubbish, or nothing,
 * disturbs nobody, and other users cannot keep root out.
 */
#ifndef MCRELAY_CONTROL_H
#define MCRELAY_CONTROL_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct control;
struct supervisor;

/*
 * Makes the socket, or goes on with the inherited one and with the client
 * that waits for the upgrade.  NULL: reported.
 */
struct control	*control_open(struct supervisor *supervisor,
		    struct conf_problems *problems) ATTR_NONNULL;
/* The listening socket. */
int	control_socket(const struct control *control) ATTR_NONNULL;
/* The client that waits for an upgrade, or -1. */
int	control_upgrader(const struct control *control) ATTR_NONNULL;
/*
 * Before an upgrade: accepts nobody any more, until it is called with false.
 * True when no client is left but the one that waits for the upgrade.
 */
bool	control_hold(struct control *control, bool hold) ATTR_NONNULL;
/* Removes the socket.  NULL is allowed. */
void	control_close(struct control *control);
/* Something has changed: who waits for it may get an answer. */
void	control_check(struct control *control);

#endif /* MCRELAY_CONTROL_H */
