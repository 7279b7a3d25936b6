/* SPDX-License-Identifier: ISC */
/*
 * What a child is told, by messages and signals.  Supervisor only.
 */
#include <sys/socket.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/message.h"
#include "supervisor/child_priv.h"

bool
child_tell_stop(struct child *child)
{
	struct message message;

	if (child->mute)
		return shutdown(child->messages, SHUT_WR) == 0;
	memset(&message, 0, sizeof(message));
	message.type = MESSAGE_STOP;
	return child->ops->drained != NULL && send(child->messages, &message,
	    sizeof(message), MSG_NOSIGNAL) == (ssize_t)sizeof(message);
}

void
child_send(const struct child *child, const struct message *message)
{
	if (child->pid != 0 && send(child->messages, message, sizeof(*message),
	    MSG_NOSIGNAL) == -1)
		log_warn("%s: cannot send to it", child->label);
}

static bool
send_signal(const struct child *child, int sig)
{
	struct message message;

	if (!child->hosted || (sig != SIGTERM && sig != SIGHUP))
		return kill(child->pid, sig) == 0;
	memset(&message, 0, sizeof(message));
	message.type = sig == SIGTERM ? MESSAGE_ROLL : MESSAGE_ROTATE;
	return send(child->messages, &message, sizeof(message),
	    MSG_NOSIGNAL) == (ssize_t)sizeof(message);
}

void
child_signal(const struct child *child, int sig)
{
	if (child->pid != 0 && !send_signal(child, sig))
		log_warn("%s: cannot send signal %d", child->label, sig);
}
