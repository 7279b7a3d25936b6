/* SPDX-License-Identifier: ISC */
/*
 * Opens the descriptors of a channel.  Supervisor only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/dirs.h"
#include "supervisor/parts.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"

/* Read by everybody, like a log. */
#define ARCHIVE_MODE	0755

void
parts_init(struct parts *parts)
{
	memset(parts, 0, sizeof(*parts));
	parts->input = parts->feed = parts->archive = -1;
}

static void
complain(struct conf_problems *problems, const struct channel_conf *conf,
    const struct sockaddr_storage *address, const char *interface,
    const char *what)
{
	char text[ADDRESS_TEXT_SIZE];
	const char *reason = strerror(errno);

	format_address((const void *)address, text);
	report_error(problems, "channel %s: %s%s%s: cannot %s: %s",
	    conf->name, text, interface[0] != '\0' ? " on " : "", interface,
	    what, reason);
}

/* The configuration check has warned everybody but root. */
void
parts_resize(const struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	uint64_t wanted = conf->listen.receive_buffer;
	uint64_t got = sockets_receive_buffer(parts->input, wanted);

	sockets_busy_poll(parts->input, conf->listen.busy_poll_ns);
	if (got >= wanted || geteuid() != 0)
		return;
	report_warning(problems, "channel %s: the receive buffer is %llu "
	    "bytes instead of %llu: set the sysctl net.core.rmem_max to at "
	    "least %llu", conf->name, (unsigned long long)got,
	    (unsigned long long)wanted, (unsigned long long)wanted);
}

bool
parts_bind(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	const char *what;

	if (parts->input == -1 || parts->bound)
		return true;
	if (sockets_bind(parts->input, &conf->listen, &what) == 0) {
		parts->bound = true;
		return true;
	}
	if (errno == EADDRINUSE && strcmp(what, "bind") == 0)
		return false;
	complain(problems, conf, &conf->listen.address,
	    conf->listen.interface, what);
	parts_close(parts, PART_INPUT);
	return true;
}

void
parts_report_in_use(const struct channel_conf *conf,
    struct conf_problems *problems)
{
	errno = EADDRINUSE;
	complain(problems, conf, &conf->listen.address,
	    conf->listen.interface, "bind");
}

/* An input, and for a channel that archives a stream what feeds it. */
static void
open_sockets(struct parts *parts, const struct channel_conf *conf,
    const char **what)
{
	if (!conf->archives_stream)
		parts->input = sockets_input(&conf->listen, what);
	else if (sockets_pair(&conf->listen, &parts->input, &parts->feed,
	    what) == -1)
		parts->input = parts->feed = -1;
	else
		parts->bound = true;
}

static void
open_input(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	const char *what;

	parts->have |= PART_INPUT;
	open_sockets(parts, conf, &what);
	if (parts->input == -1) {
		complain(problems, conf, &conf->listen.address,
		    conf->listen.interface, what);
		return;
	}
	parts_resize(parts, conf, problems);
	(void)parts_bind(parts, conf, problems);
}

static int
open_output(const struct channel_conf *conf,
    const struct destination_conf *to, struct conf_problems *problems)
{
	const char *what;
	int fd = sockets_output(to, &what);

	if (fd == -1)
		complain(problems, conf, &to->address, to->interface, what);
	return fd;
}

static void
open_archive(struct parts *parts, const struct channel_conf *conf,
    const struct privdrop *owner, struct conf_problems *problems)
{
	char *path;

	if (!conf->archive.enabled)
		return;
	path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	parts->archive = dirs_open(path, ARCHIVE_MODE, owner);
	if (parts->archive == -1)
		report_error(problems, "channel %s: cannot make or open the "
		    "archive directory %s: %s", conf->name, path,
		    strerror(errno));
	else if (owner == NULL && faccessat(parts->archive, ".", W_OK | X_OK,
	    AT_EACCESS) == -1)
		report_warning(problems, "channel %s: no file can be made in "
		    "the archive directory %s: %s", conf->name, path,
		    strerror(errno));
	free(path);
}

int
parts_renew_archive(struct parts *parts, const struct channel_conf *conf,
    const struct privdrop *owner)
{
	char *path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	int fd = dirs_open(path, ARCHIVE_MODE, owner);

	free(path);
	if (fd == -1)
		return -1;
	close(parts->archive);
	parts->archive = fd;
	return 0;
}

void
parts_open(struct parts *parts, const struct channel_conf *conf,
    unsigned which, const struct privdrop *owner,
    struct conf_problems *problems)
{
	size_t i;

	if ((which & PART_INPUT) != 0)
		open_input(parts, conf, problems);
	if ((which & PART_WORKER) != 0) {
		parts->have |= PART_WORKER;
		for (i = 0; i < conf->relays; i++)
			parts->output[parts->outputs++] = open_output(conf,
			    &conf->relay[i], problems);
		open_archive(parts, conf, owner, problems);
	}
	if ((which & PART_STREAMS) != 0) {
		parts->have |= PART_STREAMS;
		for (i = 0; i < conf->decimates; i++)
			parts->stream[parts->streams++] = open_output(conf,
			    &conf->decimate[i].to, problems);
	}
}

static void
close_some(int *fds, size_t *count)
{
	while (*count > 0)
		if (fds[--*count] != -1)
			close(fds[*count]);
}

void
parts_close(struct parts *parts, unsigned which)
{
	size_t one = 1;

	if ((which & PART_INPUT) != 0) {
		close_some(&parts->input, &one);
		one = 1;
		close_some(&parts->feed, &one);
		parts->input = parts->feed = -1;
		parts->bound = false;
		memset(&parts->input_at, 0, sizeof(parts->input_at));
	}
	if ((which & PART_WORKER) != 0) {
		close_some(parts->output, &parts->outputs);
		one = 1;
		close_some(&parts->archive, &one);
		parts->archive = -1;
		memset(parts->output_at, 0, sizeof(parts->output_at));
	}
	if ((which & PART_STREAMS) != 0) {
		close_some(parts->stream, &parts->streams);
		memset(parts->stream_at, 0, sizeof(parts->stream_at));
	}
	parts->have &= ~which;
}

void
parts_move(struct parts *to, struct parts *from)
{
	unsigned have = from->have;

	parts_close(to, have);
	if ((have & PART_INPUT) != 0) {
		to->input = from->input;
		to->bound = from->bound;
		to->feed = from->feed;
		to->input_at = from->input_at;
	}
	if ((have & PART_WORKER) != 0) {
		memcpy(to->output, from->output, sizeof(to->output));
		memcpy(to->output_at, from->output_at, sizeof(to->output_at));
		to->outputs = from->outputs;
		to->archive = from->archive;
	}
	if ((have & PART_STREAMS) != 0) {
		memcpy(to->stream, from->stream, sizeof(to->stream));
		memcpy(to->stream_at, from->stream_at, sizeof(to->stream_at));
		to->streams = from->streams;
	}
	to->have |= have;
	parts_init(from);
}
