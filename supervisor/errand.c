/* SPDX-License-Identifier: ISC */
/*
 * Processes that do what may take for ever.  Supervisor only; what follows the
 * fork runs in the child, which must not return or touch the event loop.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/message.h"
#include "common/process.h"
#include "common/util.h"
#include "supervisor/errand.h"
#include "supervisor/spawn.h"

/* How long one may take, in seconds, if it can be ended at all. */
#define ERRAND_S	10U

/* How long the loop may stand still for answers, all together, in so long. */
#define PATIENCE_MS	100U
#define PATIENCE_IN_NS	(10 * NS_PER_S)

enum {
	FD_ANSWER = STDERR_FILENO + 1,
	FD_KEPT,
	FD_OTHERS,
};

static uint64_t	patience_since_ns;
static uint64_t	patience_spent_ns;

/* Everything else would stay open, and bound, for as long as it takes. */
static int
arrange(int answer, int keep)
{
	log_close();
	answer = fcntl(answer, F_DUPFD_CLOEXEC, FD_OTHERS);
	if (keep != -1)
		keep = fcntl(keep, F_DUPFD_CLOEXEC, FD_OTHERS);
	if (answer == -1 || dup2(answer, FD_ANSWER) == -1 ||
	    (keep != -1 && dup2(keep, FD_KEPT) == -1))
		return -1;
	if (keep == -1)
		close(FD_KEPT);
	return process_close_from(FD_OTHERS);
}

/*** How many there are. ***/

static struct {
	uint64_t	kind;
	unsigned	count;
} *kinds;
static size_t	kind_count;

uint64_t
errand_kind(const char *directory)
{
	return hash_text64(directory);
}

/* Of that kind. */
static unsigned *
under_way(uint64_t kind)
{
	size_t i, at = kind_count;

	for (i = 0; i < kind_count; i++) {
		if (kinds[i].kind == kind)
			return &kinds[i].count;
		if (kinds[i].count == 0)
			at = i;
	}
	if (at == kind_count) {
		kinds = xgrow(kinds, kind_count, sizeof(*kinds));
		kind_count++;
	}
	kinds[at].kind = kind;
	kinds[at].count = 0;
	return &kinds[at].count;
}

/*** Errands. ***/

int
errand_start(struct errand *errand, uint64_t kind,
    void (*run)(int, int, const void *), int keep, const void *argument)
{
	unsigned *others = under_way(kind);
	pid_t pid;
	int end;

	if (*others >= ERRANDS_MAX) {
		errno = EAGAIN;
		return -1;
	}
	pid = spawn_fork(&end);
	if (pid == 0) {
		(void)process_end_with_parent();
		spawn_reset_signals();
		(void)alarm(ERRAND_S);
		if (arrange(end, keep) == 0)
			run(FD_ANSWER, keep == -1 ? -1 : FD_KEPT, argument);
		_exit(0);
	}
	if (pid == -1)
		return -1;
	/* The event loop reaps it, which does not run before we return: its
	 * number is its own still. */
	errand->process = process_open(pid);
	errand->answer = end;
	errand->kind = kind;
	(*others)++;
	return 0;
}

/* As fd_wait_readable(), with what patience is left. */
static bool
await(int fd)
{
	uint64_t begin_ns = clock_monotonic_ns();
	unsigned spent_ms;
	bool ready;

	if (begin_ns - patience_since_ns > PATIENCE_IN_NS) {
		patience_since_ns = begin_ns;
		patience_spent_ns = 0;
	}
	spent_ms = (unsigned)(patience_spent_ns / NS_PER_MS);
	ready = fd_wait_readable(fd, PATIENCE_MS - MIN_OF(spent_ms,
	    PATIENCE_MS));
	patience_spent_ns += clock_monotonic_ns() - begin_ns;
	return ready;
}

bool
errand_done(struct errand *errand, void *answer, size_t size, int *fd,
    bool *answered)
{
	size_t count = 1;

	if (!await(errand->answer))
		return false;
	*answered = fd_receive(errand->answer, answer, size, fd, &count) ==
	    (ssize_t)size;
	if (count == 0)
		*fd = -1;
	errand_forget(errand);
	return true;
}

bool
errand_ended(struct errand *errand, bool *said)
{
	char text;

	if (!fd_wait_readable(errand->answer, 0))
		return false;
	*said = recv(errand->answer, &text, sizeof(text), MSG_DONTWAIT) ==
	    sizeof(text);
	errand_forget(errand);
	return true;
}

void
errand_say(int answer)
{
	(void)send(answer, "", 1, MSG_NOSIGNAL);
}

void
errand_forget(struct errand *errand)
{
	if (errand->answer == 0)
		return;
	close(errand->answer);
	(void)process_kill(errand->process);
	process_close(errand->process);
	errand->answer = 0;
	--*under_way(errand->kind);
}

bool
errand_ask(const char *directory, void (*run)(int, int, const void *),
    const void *argument, void *answer, size_t size)
{
	struct errand errand = {.process = -1};
	bool answered = false;
	int fd;

	if (errand_start(&errand, errand_kind(directory), run, -1, argument) ==
	    -1)
		return false;
	if (!errand_done(&errand, answer, size, &fd, &answered))
		errand_forget(&errand);
	return answered;
}
