/* SPDX-License-Identifier: ISC */
/*
 * Following what happens.  See events.h.  mcrelayctl only.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/printable.h"
#include "tools/ctl/client.h"
#include "tools/ctl/events.h"

/* More than a line ever has. */
#define LINES_SIZE	65536
#define ID_SIZE		64
/* Connections in a row that end without a line: an upgrade ends one, of an
 * earlier mcrelayd without telling that. */
#define VAIN_MAX	5

struct following {
	int		 fd;
	bool		 json;
	unsigned	 left;			/* events; 0: no end */
	char		 instance[ID_SIZE];
	char		 last[ID_SIZE];		/* the id to go on after */
	bool		 heard;			/* a line, on this one */
	char		 buffer[LINES_SIZE];
	size_t		 filled;
};

enum outcome {
	OUTCOME_GO_ON,
	OUTCOME_HUNG_UP,	/* mcrelayd has */
	OUTCOME_ENDED,		/* and said that it ends */
	OUTCOME_ENOUGH,
};

static const char *
text_of(const json_t *object, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : otherwise;
}

static void
print_event(const struct following *following, const json_t *event)
{
	if (!following->json) {
		printable_print(stdout, "%s %s %s %s\n",
		    text_of(event, "time", "-"),
		    text_of(event, "channel", "-"),
		    text_of(event, "kind", "?"), text_of(event, "text", ""));
		return;
	}
	json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
}

/* What is an event, but for the connection. */
static enum outcome
tell(struct following *following, const json_t *event)
{
	print_event(following, event);
	if (fflush(stdout) != 0)
		fatal("standard output");
	if (following->left > 0 && --following->left == 0)
		return OUTCOME_ENOUGH;
	return OUTCOME_GO_ON;
}

static enum outcome
take_line(struct following *following, const char *line, size_t size)
{
	json_t *event = json_loadb(line, size, 0, NULL);
	const char *id = text_of(event, "id", ""), *kind;
	enum outcome outcome = OUTCOME_GO_ON;

	if (event == NULL)
		fatalx("mcrelayd sent what is no event");
	following->heard = true;
	kind = text_of(event, "kind", "");
	if (strcmp(kind, "end") == 0)
		outcome = OUTCOME_ENDED;
	else if (strcmp(kind, "pause") != 0)
		outcome = tell(following, event);
	if (id[0] != '\0')
		snprintf(following->last, sizeof(following->last), "%s", id);
	json_decref(event);
	return outcome;
}

static enum outcome
take_lines(struct following *following)
{
	char *from = following->buffer, *end;
	char *stop = following->buffer + following->filled;
	enum outcome outcome = OUTCOME_GO_ON;

	while (outcome == OUTCOME_GO_ON && (end = memchr(from, '\n',
	    (size_t)(stop - from))) != NULL) {
		outcome = take_line(following, from, (size_t)(end - from));
		from = end + 1;
	}
	following->filled = (size_t)(stop - from);
	memmove(following->buffer, from, following->filled);
	if (following->filled == sizeof(following->buffer))
		fatalx("mcrelayd sent a line without an end");
	return outcome;
}

/* Until there is something to read; false: nobody reads what we write. */
static bool
wait_for_more(int fd)
{
	struct pollfd watched[] = {{.fd = fd, .events = POLLIN},
	    {.fd = STDOUT_FILENO, .events = 0}};

	while (poll(watched, 2, -1) == -1)
		if (errno != EINTR)
			fatal("poll");
	return (watched[1].revents & (POLLERR | POLLHUP)) == 0;
}

static enum outcome
follow(struct following *following)
{
	enum outcome outcome = take_lines(following);
	ssize_t got;

	while (outcome == OUTCOME_GO_ON) {
		if (!wait_for_more(following->fd))
			return OUTCOME_ENOUGH;
		got = read(following->fd,
		    following->buffer + following->filled,
		    sizeof(following->buffer) - following->filled);
		if (got == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return OUTCOME_HUNG_UP;
		following->filled += (size_t)got;
		outcome = take_lines(following);
	}
	return outcome;
}

static char	last_event[ID_SIZE];	/* for what is said at the end */

static void
not_again(bool down ATTR_UNUSED, const char *text)
{
	fatalx("%s; the last event was %s", text, last_event);
}

/* Connects, and again after an upgrade.  0, or the exit status. */
static int
begin(struct following *following, const char *path, json_t *request)
{
	bool again = following->instance[0] != '\0';
	const char *instance;
	json_t *answer;
	int result;

	if (again) {
		json_object_set_new(request, "since",
		    json_string(following->last));
		memcpy(last_event, following->last, sizeof(last_event));
		client_on_failure(not_again);
	}
	answer = client_follow(path, request, &following->fd,
	    following->buffer, &following->filled,
	    sizeof(following->buffer));
	result = client_check(answer);
	instance = text_of(answer, "instance", "");
	if (result == 0 && again &&
	    strcmp(instance, following->instance) != 0) {
		log_warnx("mcrelayd has ended, and another one runs; the last "
		    "event was %s", following->last);
		result = 1;
	} else if (result == 0 && !again) {
		snprintf(following->instance, sizeof(following->instance),
		    "%s", instance);
		snprintf(following->last, sizeof(following->last),
		    "%s:%lld", instance, (long long)json_integer_value(
		    json_object_get(answer, "next")) - 1);
	}
	json_decref(answer);
	return result;
}

int
events_run(const char *path, json_t *request, bool json, unsigned count)
{
	static struct following following;
	enum outcome outcome = OUTCOME_HUNG_UP;
	int vain = 0;

	following.json = json;
	following.left = count;
	while (outcome == OUTCOME_HUNG_UP && vain < VAIN_MAX) {
		if (begin(&following, path, request) != 0)
			return 1;
		following.heard = false;
		outcome = follow(&following);
		close(following.fd);
		vain = following.heard ? 0 : vain + 1;
	}
	if (outcome == OUTCOME_ENOUGH)
		return 0;
	log_warnx("mcrelayd %s; the last event was %s", outcome ==
	    OUTCOME_ENDED ? "has ended" : "hangs up", following.last);
	return 1;
}
