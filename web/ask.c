/* SPDX-License-Identifier: ISC */
/*
 * Asking the supervisor for the status, which is all that it answers; and being
 * told by it which streams there are, and asked whether we get anywhere.
 * mcrelay-web only.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "web/web_priv.h"

/* More than the status of a thousand channels. */
#define STATUS_MAX	(32 * 1024 * 1024)
/* An answer that has not come by then may never. */
#define OVERDUE_NS	(2 * NS_PER_S)

static ev_io		 messages;
static ask_told		*on_answer;
static ask_told		*on_streams;
static uint64_t		 asked_ns;	/* 0: no answer is to come */

/* All of a file, or NULL. */
static char *
read_file(int fd, size_t *size)
{
	ssize_t got = 0;
	off_t done = 0;
	struct stat st;
	char *text;

	if (fstat(fd, &st) == -1 || st.st_size <= 0 || st.st_size > STATUS_MAX)
		return NULL;
	text = xmalloc((size_t)st.st_size);
	for (; done < st.st_size; done += got) {
		got = pread(fd, text + done, (size_t)(st.st_size - done),
		    done);
		if (got <= 0)
			break;
	}
	*size = (size_t)done;
	if (done == st.st_size)
		return text;
	free(text);
	return NULL;
}

static void
take(int fd, ask_told *told)
{
	size_t size = 0;
	char *text = fd == -1 ? NULL : read_file(fd, &size);

	told(text, size);
	free(text);
}

/* It is asked when somebody waits for us. */
static void
say_looked(void)
{
	static const struct message looked = {.type = MESSAGE_LOOKED};

	if (fd_send(MESSAGE_FD, &looked, sizeof(looked), NULL, 0) == -1)
		log_debug("the supervisor cannot be answered");
}

static void
on_messages(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
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
	if (got == (ssize_t)sizeof(message) && message.type == MESSAGE_STATUS) {
		asked_ns = 0;
		take(count == 1 ? fds[0] : -1, on_answer);
	} else if (got == (ssize_t)sizeof(message) &&
	    message.type == MESSAGE_STREAMS)
		take(count == 1 ? fds[0] : -1, on_streams);
	else if (got == (ssize_t)sizeof(message) &&
	    message.type == MESSAGE_LOOK)
		say_looked();
	for (i = 0; i < count; i++)
		close(fds[i]);
}

void
ask_start(struct ev_loop *loop, ask_told *answered, ask_told *streams)
{
	on_answer = answered;
	on_streams = streams;
	ev_io_init(&messages, on_messages, MESSAGE_FD, EV_READ);
	ev_io_start(loop, &messages);
}

void
ask_status(void)
{
	static const struct message message = {.type = MESSAGE_STATUS};

	uint64_t now = clock_monotonic_ns();

	if (asked_ns != 0 && now - asked_ns < OVERDUE_NS)
		return;
	/* A supervisor that does not read has not read the one before. */
	if (fd_send(MESSAGE_FD, &message, sizeof(message), NULL, 0) == -1)
		log_debug("the supervisor cannot be asked");
	else
		asked_ns = now;
}
