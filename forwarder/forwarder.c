/* SPDX-License-Identifier: ISC */
/*
 * The first thread of mcrelay-forwarder: what mcrelayd says, and the end.
 * There is nothing to be stored or told at the end: another one finds out
 * where this one was.
 */
#include <sys/mman.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_loop.h"
#include "common/message.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "forwarder/forwarder.h"
#include "forwarder/journal.h"
#include "forwarder/live.h"
#include "forwarder/stream.h"

struct forward_page	*page;

static ev_io		 messages;
static ev_signal	 term;
static ev_timer		 look;

/* How often files are looked at, seconds. */
#define LOOK_S		1.

static void
on_messages(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	static const struct message looked = {.type = MESSAGE_LOOKED};
	static struct message message;
	int fds[FD_PASS_MAX];
	size_t count, i;
	ssize_t got;

	got = fd_receive(watcher->fd, &message, sizeof(message), fds, &count);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		log_info("the supervisor has hung up: exiting");
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	if (got == (ssize_t)sizeof(message) &&
	    message.type == MESSAGE_LOOK && lanes_get_anywhere() &&
	    leases_get_anywhere() &&
	    fd_send(MESSAGE_FD, &looked, sizeof(looked), NULL, 0) == -1)
		log_debug("the supervisor cannot be answered");
	if (got == (ssize_t)sizeof(message) &&
	    message.type == MESSAGE_STATUS && count == 1)
		journal_status(fds[0]);
	if (got == (ssize_t)sizeof(message) &&
	    message.type == MESSAGE_STREAMS && count == 2) {
		live_streams(fds[0], fds[1]);
		count = 1;
	}
	for (i = 0; i < count; i++)
		close(fds[i]);
}

static void
on_term(struct ev_loop *loop, ev_signal *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	ev_break(loop, EVBREAK_ALL);
}

static void
on_look(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	files_look();
}

/*** Start. ***/

/* Nothing here is so urgent that it should take the processor from who has it:
 * not from a worker, nor from one another.  libnats wakes a thread for each
 * message that is to be freed. */
static void
wait_ones_turn(void)
{
	const struct sched_param none = {0};

	if (sched_setscheduler(0, SCHED_BATCH, &none) == -1)
		log_debug("SCHED_BATCH: %s", strerror(errno));
}

/* A message is copied to memory of its own, and freed by another thread soon: a
 * megabyte that went back to the kernel each time would be taken page by page
 * for the next one. */
static void
keep_memory(void)
{
#ifdef M_TRIM_THRESHOLD
	(void)mallopt(M_MMAP_THRESHOLD, (int)(2 * STREAM_BYTES));
	(void)mallopt(M_TRIM_THRESHOLD, (int)(2 * STREAM_BYTES));
#endif
}

static void
map_page(void)
{
	size_t size = spec.lease_ns != 0 ? sizeof(*lease_page) : sizeof(*page);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    FORWARD_PAGE_FD, 0);

	if (memory == MAP_FAILED)
		fatal("the page (descriptor %d)", FORWARD_PAGE_FD);
	if (spec.lease_ns != 0)
		lease_page = memory;
	else
		page = memory;
	close(FORWARD_PAGE_FD);
}

/* What libnats opens by a path, now and whenever it connects; and what names
 * of servers are looked up by. */
static size_t
open_readable(int *fd)
{
	const char *const path[] = {"/etc", "/run/systemd/resolve",
	    "/run/resolvconf", "/run/NetworkManager", spec.credentials,
	    spec.ca, spec.certificate, spec.key};
	size_t i, count = 0;

	for (i = 0; i < NITEMS(path); i++)
		if (path[i] != NULL) {
			fd[count] = open(path[i], O_PATH | O_CLOEXEC);
			count += fd[count] != -1;
		}
	return count;
}

/* The host of nats://USER:PASSWORD@HOST:PORT; to be freed. */
static char *
host_of(const char *server)
{
	const char *host = strstr(server, "//"), *at = strrchr(server, '@');

	host = at != NULL ? at + 1 : host != NULL ? host + 2 : server;
	return *host == '[' ? xasprintf("%.*s", (int)strcspn(host + 1, "]"),
	    host + 1) : xasprintf("%.*s", (int)strcspn(host, ":/"), host);
}

/* Once, before the sandbox: how names are looked up is code that libc loads
 * then.  It may take some seconds where nobody answers. */
static void
load_resolver(void)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found;
	bool done = false;
	char *host;
	int i;

	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
	for (i = 0; i < spec.servers && !done; i++) {
		host = host_of(spec.server[i]);
		done = getaddrinfo(host, NULL, &hints, &found) != 0;
		if (!done || getaddrinfo(host, NULL, NULL, &found) == 0)
			freeaddrinfo(found);
		free(host);
	}
}

static uint32_t
enter_sandbox(void)
{
	struct sandbox sandbox = {.program = SANDBOX_FORWARDER,
	    .directory = -1, .syslog = true};
	int readable[FORWARD_CHANNELS_MAX + 8];
	uint32_t parts;
	size_t i, own;

	own = open_readable(readable);
	for (i = 0; i < spec.lanes; i++)
		readable[own + i] = FORWARD_DIRECTORY_FD + (int)i;
	sandbox.readable = readable;
	sandbox.readables = own + spec.lanes;
	parts = sandbox_enter(&sandbox);
	while (own > 0)
		close(readable[--own]);
	return parts;
}

int
forwarder_run(void)
{
	struct ev_loop *loop = EV_DEFAULT;
	uint32_t sandbox;
	unsigned i;

	log_init(FORWARDER_PROGRAM, NULL, LOG_TARGET_STDERR, LOG_INFO);
	if (loop == NULL)
		fatalx("libev cannot start");
	/* The supervisor decides for its children what these mean. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	message_end_with_supervisor();
	wait_ones_turn();
	keep_memory();
	spec_load();
	map_page();
	load_resolver();
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_start(loop, &term);
	ev_io_init(&messages, on_messages, MESSAGE_FD, EV_READ);
	ev_io_start(loop, &messages);
	log_loop_start(loop);
	ev_timer_init(&look, on_look, 0, LOOK_S);
	ev_timer_start(loop, &look);
	files_remember();
	sandbox = enter_sandbox();
	message_ready(sandbox);
	/* With threads from here on. */
	link_start();
	for (i = 0; i < spec.lanes; i++)
		lane_start(i, FORWARD_DIRECTORY_FD + (int)i);
	leases_start();
	ev_run(loop, 0);
	/* Not by exit(), which would take from the threads what they use. */
	_exit(0);
}
