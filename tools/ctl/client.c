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
#define PATIENCE_S	40
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

static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		fail(false, "the socket's path is too long: %s", path);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fail(false, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    -1) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			fail(true, "mcrelayd does not run, or its socket is "
			    "not %s (see -s)", path);
		fail(false, "cannot connect to %s: %s", path,
		    strerror(errno));
	}
	return fd;
}

static void
send_line(int fd, const json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t size, sent = 0;
	ssize_t put;

	if (line == NULL)
		fatalx("the request cannot be written as JSON");
	size = strlen(line);
	line[size++] = '\n';
	while (sent < size) {
		put = send(fd, line + sent, size - sent, MSG_NOSIGNAL);
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
receive_all(int fd, size_t *size)
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
		got = recv(fd, text + *size, room - *size, 0);
		if (got == -1 && errno == EAGAIN)
			fail(true, "mcrelayd does not answer");
		if (got == -1 && errno != EINTR)
			fail(true, "cannot receive the answer: %s",
			    strerror(errno));
		if (got > 0)
			*size += (size_t)got;
	} while (got != 0);
	return text;
}

json_t *
client_ask(const char *path, const json_t *request)
{
	int fd = connect_to(path);
	json_error_t error;
	json_t *answer;
	size_t size;
	char *text;

	send_line(fd, request);
	text = receive_all(fd, &size);
	close(fd);
	answer = json_loadb(text, size, 0, &error);
	free(text);
	if (answer == NULL)
		fail(false, "mcrelayd gave no proper answer: %s",
		    error.text);
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
