/* SPDX-License-Identifier: ISC */
/*
 * What a rig's child becomes: a worker, with descriptors where it wants them.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/message.h"
#include "common/util.h"
#include "tests/unit/rig.h"
#include "worker/worker.h"

/* As the only channel of a process that channels share. */
static void
run_shared(const int *fds, size_t count)
{
	char *argv[] = { (char *)(uintptr_t)"mcrelay-worker",
	    (char *)(uintptr_t)MESSAGE_SHARED_MARK "test", NULL };
	struct message_channel message = {.name = "test",
	    .archive_threads = 1};
	int door[2], all[16];

	memcpy(all, fds, count * sizeof(*fds));
	all[count++] = fcntl(STDERR_FILENO, F_DUPFD, 100);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, door) == -1 ||
	    fd_send(door[1], &message, sizeof(message), all, count) == -1)
		_exit(1);
	dup2(fcntl(door[0], F_DUPFD, 100), MESSAGE_FD);
	close_range(MESSAGE_FD + 1, ~0U, 0);
	_exit(worker_main(2, argv));
}

void
rig_run_worker(const struct rig *rig, int control)
{
	const int from[] = { control, rig->segment.fd, rig->input,
	    rig->output, rig->directory_fd, rig->decimator_wake,
	    rig->second };
	char *argv[] = { (char *)(uintptr_t)"mcrelay-worker",
	    (char *)(uintptr_t)"test", NULL };
	unsigned i, count = NITEMS(from) - (rig->second == -1 ? 1 : 0);
	int high[NITEMS(from)];

	/* A system call that its sandbox does not have ends it. */
	setenv("MCRELAY_SANDBOX", "kill", 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (rig->shared)
		run_shared(from, count);
	for (i = 0; i < count; i++)
		high[i] = fcntl(from[i], F_DUPFD, 100);
	for (i = 0; i < count; i++)
		dup2(high[i], MESSAGE_FD + (int)i);
	close_range(MESSAGE_FD + count, ~0U, 0);
	_exit(worker_main(2, argv));
}
