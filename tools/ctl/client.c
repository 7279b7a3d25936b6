/* SPDX-License-Identifier: ISC */
/*
 * The client's side of the control socket.  mcrelayctl only.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/util.h"
#include "tools/ctl/client.h"

/* Longer than the daemon gives any command. */
static unsigned		 patience_s = 40;
/* More than the status of many thousands of channels. */
#define ANSWER_MAX	(256U * 1024 * 1024)

static client_failed	*on_failure;

/* No errno in it.  `down': mcrelayd does not serve. */
static _Noreturn void ATTR_PRINTF(2, 3)
fail(bool down, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (on_failure != NULL)
		on_failure(down, text);
	fatalx("%s", text);
}

void
client_on_failure(client_failed *failed)
{
	on_failure = failed;
}

void
client_patience(unsigned seconds)
{
	patience_s = seconds;
}

static _Noreturn void
give_up(void)
{
	fail(true, "mcrelayd does not answer within %u s", patience_s);
}

/* What the next call on the socket may take of all the time. */
static void
set_patience(int fd, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_monotonic_ns(), left_ns;
	struct timeval left;

	if (now_ns >= deadline_ns)
		give_up();
	/* 0 is for ever. */
	left_ns = MAX_OF(deadline_ns - now_ns, NS_PER_MS);
	left.tv_sec = (time_t)(left_ns / NS_PER_S);
	left.tv_usec = (suseconds_t)(left_ns % NS_PER_S / NS_PER_US);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left));
}

static int
connect_to(const char *path, uint64_t deadline_ns)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		fail(false, "the socket's path is too long: %s", path);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fail(false, "socket: %s", strerror(errno));
	set_patience(fd, deadline_ns);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    -1) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			fail(true, "mcrelayd does not run, or its socket is "
			    "not %s (see -s)", path);
		/* So many have asked that it has no room for more. */
		if (errno == EAGAIN)
			give_up();
		fail(false, "cannot connect to %s: %s", path,
		    strerror(errno));
	}
	return fd;
}

static void
send_line(int fd, const json_t *request, uint64_t deadline_ns)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t size, sent = 0;
	ssize_t put;

	if (line == NULL)
		fatalx("the request cannot be written as JSON");
	size = strlen(line);
	line[size++] = '\n';
	while (sent < size) {
		set_patience(fd, deadline_ns);
		put = send(fd, line + sent, size - sent, MSG_NOSIGNAL);
		if (put == -1 && errno == EAGAIN)
			give_up();
		/* The daemon may have said why before it hung up. */
		if (put == -1 && (errno == EPIPE || errno == ECONNRESET))
			break;
		if (put == -1 && errno != EINTR)
			fail(true, "cannot send the request: %s",
			    strerror(errno));
		if (put > 0)
			sent += (size_t)put;
	}
	free(line);
}

/* Until the daemon hangs up. */
static char *
receive_all(int fd, size_t *size, uint64_t deadline_ns)
{
	size_t room = 0;
	char *text = NULL;
	ssize_t got;

	*size = 0;
	do {
		if (*size == room) {
			room = room == 0 ? 65536 : room * 2;
			if (room > ANSWER_MAX)
				fail(false, "the answer does not end");
			text = xrealloc(text, room);
		}
		set_patience(fd, deadline_ns);
		got = recv(fd, text + *size, room - *size, 0);
		if (got == -1 && errno == EAGAIN)
			give_up();
		if (got == -1 && errno == ECONNRESET && *size > 0)
			break;
		if (got == -1 && errno != EINTR)
			fail(true, "cannot receive the answer: %s",
			    strerror(errno));
		if (got > 0)
			*size += (size_t)got;
	} while (got != 0);
	return text;
}

json_t *
client_parse(const char *text, size_t size)
{
	json_error_t error;
	json_t *answer = json_loadb(text, size, 0, &error);

	if (answer == NULL)
		fail(false, "mcrelayd gave no proper answer: %s",
		    error.text);
	return answer;
}

char *
client_ask_text(const char *path, const json_t *request, size_t *size)
{
	uint64_t deadline_ns = clock_monotonic_ns() + patience_s * NS_PER_S;
	int fd = connect_to(path, deadline_ns);
	char *text;

	send_line(fd, request, deadline_ns);
	text = receive_all(fd, size, deadline_ns);
	close(fd);
	return text;
}

json_t *
client_ask(const char *path, const json_t *request)
{
	size_t size;
	char *text = client_ask_text(path, request, &size);
	json_t *answer = client_parse(text, size);

	free(text);
	return answer;
}

/* The end of the first line, or of all that came. */
static char *
receive_line(int fd, char *rest, size_t *size, size_t room,
    uint64_t deadline_ns)
{
	char *end = NULL;
	ssize_t got;

	*size = 0;
	while (end == NULL && *size < room) {
		set_patience(fd, deadline_ns);
		got = recv(fd, rest + *size, room - *size, 0);
		if (got == -1 && errno == EAGAIN)
			give_up();
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		*size += (size_t)got;
		end = memchr(rest, '\n', *size);
	}
	return end != NULL ? end + 1 : rest + *size;
}

json_t *
client_follow(const char *path, const json_t *request, int *fd, char *rest,
    size_t *size, size_t room)
{
	uint64_t deadline_ns = clock_monotonic_ns() + patience_s * NS_PER_S;
	static const struct timeval no_end;
	json_t *answer;
	char *end;

	*fd = connect_to(path, deadline_ns);
	send_line(*fd, request, deadline_ns);
	end = receive_line(*fd, rest, size, room, deadline_ns);
	if (end == rest)
		fail(true, "mcrelayd hung up without an answer");
	answer = client_parse(rest, (size_t)(end - rest));
	*size -= (size_t)(end - rest);
	memmove(rest, end, *size);
	(void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &no_end,
	    sizeof(no_end));
	return answer;
}

int
client_check(const json_t *answer)
{
	const json_t *messages = json_object_get(answer, "messages");
	const char *error;
	size_t i;

	for (i = 0; i < json_array_size(messages); i++)
		printable_print(stderr, "%s\n", json_string_value(
		    json_array_get(messages, i)));
	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	error = json_string_value(json_object_get(answer, "error"));
	log_warnx("%s", error != NULL ? error : "no reason given");
	return 1;
}
