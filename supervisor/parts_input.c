/* SPDX-License-Identifier: ISC */
/*
 * A channel's inputs.  See parts.h.  Supervisor only.
 *
 * The only input of a channel is there and bound, or not there, and the channel
 * waits.  Of several each has a socket, and it is enough that one is bound: the
 * others are bound where they are (heal.h), and the worker hears them then.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/parts_priv.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"

bool
parts_has_input(const struct parts *parts)
{
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].fd != -1)
			return true;
	return false;
}

int
parts_first_input(const struct parts *parts)
{
	return parts->inputs > 0 ? parts->input[0].fd : -1;
}

bool
parts_unbound(const struct parts *parts)
{
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].fd != -1 && !parts->input[i].bound)
			return true;
	return false;
}

bool
parts_inputs_complete(const struct parts *parts)
{
	bool bound = parts->inputs == 1;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		if (parts->input[i].fd == -1)
			return false;
		bound = bound || parts->input[i].bound;
	}
	return bound;
}

void
parts_share(const struct parts *parts, bool now)
{
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		sockets_share(parts->input[i].fd,
		    now || parts->input[i].listen.share);
}

/* The configuration check has warned everybody but root. */
static void
adapt(const struct input *input, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	uint64_t wanted = input->listen.receive_buffer;
	uint64_t got = sockets_receive_buffer(input->fd, wanted);

	sockets_busy_poll(input->fd, input->listen.busy_poll_ns);
	(void)sockets_adapt(input->fd, &input->listen);
	if (got >= wanted || geteuid() != 0)
		return;
	report_warning(problems, "channel %s: the receive buffer is %" PRIu64
	    " bytes instead of %" PRIu64 ": set the sysctl net.core.rmem_max "
	    "to at least %" PRIu64, conf->name, got, wanted, wanted);
}

void
parts_adapt(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	size_t i;

	for (i = 0; i < MIN_OF(parts->inputs, conf->inputs); i++) {
		parts->input[i].listen = conf->listen[i];
		if (parts->input[i].fd != -1)
			adapt(&parts->input[i], conf, problems);
	}
}

/* The only one is closed; of several the log says once what is the matter. */
static void
leave(struct parts *parts, struct input *input,
    const struct channel_conf *conf, const char *what,
    struct conf_problems *problems)
{
	char text[INPUT_TEXT_SIZE];
	int error = errno;

	parts_leave_socket(parts, conf, &input->listen.address,
	    input->listen.interface, what, problems);
	if (parts->inputs == 1) {
		if (input->fd != -1)
			close(input->fd);
		input->fd = -1;
		memset(&input->at, 0, sizeof(input->at));
		return;
	}
	if (error != input->at.error) {
		(void)inputs_text(&input->listen, text);
		log_warnx("channel %s: input %s: cannot %s: %s: it is bound "
		    "when that changes", conf->name, text, what,
		    strerror(error));
	}
	input->at.error = error;
}

/* False: its address is in use. */
static bool
bind_input(struct parts *parts, struct input *input,
    const struct channel_conf *conf, struct conf_problems *problems)
{
	const char *what;

	if (input->fd == -1 || input->bound)
		return true;
	if (sockets_bind(input->fd, &input->listen, &what) == 0) {
		input->bound = true;
		input->at.error = 0;
		return true;
	}
	input->in_use = errno == EADDRINUSE && strcmp(what, "bind") == 0;
	if (input->in_use)
		return false;
	leave(parts, input, conf, what, problems);
	return true;
}

/* What one of several lacks the channel does not wait for. */
static void
forgive(struct parts *parts, const struct lack *before)
{
	if (parts->inputs > 1 && parts_inputs_complete(parts))
		parts->lack = *before;
}

bool
parts_bind(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	const struct lack before = parts->lack;
	bool all = true;
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		all = bind_input(parts, &parts->input[i], conf, problems) &&
		    all;
	forgive(parts, &before);
	return all;
}

void
parts_leave_inputs(struct parts *parts, const struct channel_conf *conf)
{
	const struct lack before = parts->lack;
	struct input *input;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		input = &parts->input[i];
		if (input->fd == -1 || input->bound || !input->in_use)
			continue;
		errno = EADDRINUSE;
		leave(parts, input, conf, "bind", NULL);
	}
	forgive(parts, &before);
}

/* An input, and for a channel that archives a stream what feeds it. */
static void
open_socket(struct parts *parts, struct input *input,
    const struct channel_conf *conf, const char **what)
{
	if (!conf->archives_stream)
		input->fd = sockets_input(&input->listen, what);
	else if (sockets_pair(&input->listen, &input->fd, &parts->feed,
	    what) == -1)
		input->fd = parts->feed = -1;
	else
		input->bound = true;
}

static void
open_input(struct parts *parts, struct input *input,
    const struct channel_conf *conf, struct conf_problems *problems)
{
	const char *what;

	if (input->fd == -1) {
		input->bound = false;
		open_socket(parts, input, conf, &what);
		if (input->fd == -1) {
			leave(parts, input, conf, what, problems);
			return;
		}
		adapt(input, conf, problems);
	}
	(void)bind_input(parts, input, conf, problems);
}

void
parts_expect_inputs(struct parts *parts, const struct listen_config *listen,
    size_t inputs)
{
	size_t i;

	parts->input = xcalloc(inputs, sizeof(*parts->input));
	parts->inputs = inputs;
	for (i = 0; i < inputs; i++) {
		parts->input[i].fd = -1;
		parts->input[i].listen = listen[i];
	}
}

void
parts_open_inputs(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	const struct lack before = parts->lack;
	size_t i;

	if (parts->inputs == 0)
		parts_expect_inputs(parts, conf->listen, conf->inputs);
	for (i = 0; i < parts->inputs; i++)
		open_input(parts, &parts->input[i], conf, problems);
	forgive(parts, &before);
}

void
parts_keep_inputs(struct parts *parts, const struct channel_conf *conf,
    const struct parts *from)
{
	struct input *input;
	size_t i, j;

	if (parts->inputs == 0)
		parts_expect_inputs(parts, conf->listen, conf->inputs);
	for (i = 0; i < parts->inputs; i++)
		for (j = 0; j < from->inputs; j++) {
			input = &parts->input[i];
			if (input->fd != -1 || from->input[j].fd == -1 ||
			    !sockets_same_input(&input->listen,
			    &from->input[j].listen))
				continue;
			input->fd = fcntl(from->input[j].fd, F_DUPFD_CLOEXEC,
			    0);
			input->bound = from->input[j].bound;
			input->at = from->input[j].at;
			input->silence = from->input[j].silence;
		}
}

bool
parts_keep(const struct parts *parts, const struct input *input)
{
	struct stat one, other;
	size_t i;

	if (input->fd == -1 || fstat(input->fd, &one) == -1)
		return false;
	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].fd != -1 &&
		    fstat(parts->input[i].fd, &other) == 0 &&
		    one.st_ino == other.st_ino)
			return true;
	return false;
}

void
parts_close_inputs(struct parts *parts)
{
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (parts->input[i].fd != -1)
			close(parts->input[i].fd);
	free(parts->input);
	parts->input = NULL;
	parts->inputs = 0;
}
