/* SPDX-License-Identifier: ISC */
/*
 * A child across an upgrade: what the next image is to know of it.  Supervisor
 * only.
 */
#include <sys/types.h>
#include <sys/wait.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/child_priv.h"

/* It may have ended already; but nobody else may have reaped it. */
static bool
is_ours(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
	    0;
}

void
child_adopt(struct child *child, const struct child_image *image)
{
	child->wanted = image->wanted;
	child->draining = image->draining;
	child->spawned_ns = image->spawned_ns;
	child->ready_ns = image->ready_ns;
	child->spawns = image->spawns;
	child->backoff.failures = image->failures;
	child->drain_only = image->drain_only;
	child->hosted = image->hosted;
	child->drains = image->drains;
	child->sandbox = image->sandbox;
	child->deaths = image->deaths;
	memcpy(child->last_exit, image->last_exit, sizeof(child->last_exit));
	child->pid = image->pid;
	child->messages = image->messages;
	if (image->voice != -1)
		voice_adopt(&child->voice, image->voice);
	if (child->pid != 0 && !is_ours(child->pid)) {
		log_warnx("%s: process %d has gone unseen", child->label,
		    (int)child->pid);
		child->pid = 0;
		child->ready_ns = 0;
		child_close_messages(child);
		voice_end(&child->voice);
	}
	if (child->pid == 0)
		return;
	child_watch(child);
	if (image->ending)
		child_set_state(child, CHILD_STOPPING, CHILD_STOP_NS);
	else if (child->ready_ns == 0)
		child_set_state(child, CHILD_STARTING, CHILD_START_NS);
	else
		child_set_state(child, CHILD_RUNNING, CHILD_DEAF_NS);
}

void
child_describe(const struct child *child, struct child_image *image)
{
	memset(image, 0, sizeof(*image));
	image->pid = child->pid;
	image->messages = child->messages;
	image->voice = child->voice.fd;
	image->wanted = child->wanted;
	image->ending = child->state == CHILD_STOPPING;
	image->draining = child->draining;
	image->spawned_ns = child->spawned_ns;
	image->ready_ns = child->ready_ns;
	image->spawns = child->spawns;
	image->failures = child->backoff.failures;
	image->drain_only = child->drain_only;
	image->hosted = child->hosted;
	image->drains = child->drains;
	image->sandbox = child->sandbox;
	image->deaths = child->deaths;
	memcpy(image->last_exit, child->last_exit, sizeof(image->last_exit));
}
