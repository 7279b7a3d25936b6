/* SPDX-License-Identifier: ISC */
/*
 * Opens the descriptors of a channel.  Supervisor only.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/directory.h"
#include "supervisor/parts_priv.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"

void
parts_init(struct parts *parts)
{
	memset(parts, 0, sizeof(*parts));
	parts->feed = parts->archive = -1;
}

/* This process cannot open it, whatever becomes of the rest of the world. */
bool
parts_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

static void
complain_exhausted(struct conf_problems *problems,
    const struct channel_conf *conf, const char *detail, int error)
{
	const char *advice = "there is not enough memory";

	if (error == EMFILE)
		advice = "raise the limit on open files (RLIMIT_NOFILE, "
		    "LimitNOFILE= in systemd)";
	else if (error == ENFILE)
		advice = "raise the sysctl fs.file-max";
	report_error(problems, "channel %s: %s: %s", conf->name, detail,
	    advice);
}

static void ATTR_PRINTF(5, 6)
leave_out(struct parts *parts, const struct channel_conf *conf, int error,
    struct conf_problems *problems, const char *fmt, ...)
{
	struct lack lack = {.error = error};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lack.detail, sizeof(lack.detail), fmt, ap);
	va_end(ap);
	if (parts_exhausted(error) && problems != NULL)
		complain_exhausted(problems, conf, lack.detail, error);
	if (parts->lack.error == 0)
		parts->lack = lack;
}

void
parts_leave_socket(struct parts *parts, const struct channel_conf *conf,
    const struct sockaddr_storage *address, const char *interface,
    const char *what, struct conf_problems *problems)
{
	char text[ADDRESS_TEXT_SIZE];
	int error = errno;

	format_address((const void *)address, text);
	leave_out(parts, conf, error, problems, "%s%s%s: cannot %s: %s",
	    text, interface[0] != '\0' ? " on " : "", interface, what,
	    strerror(error));
}

static void
open_output(struct parts *parts, int *fd, const struct channel_conf *conf,
    const struct destination_conf *to, struct conf_problems *problems)
{
	const char *what;

	if (*fd != -1)
		return;
	*fd = sockets_output(to, &what);
	if (*fd == -1)
		parts_leave_socket(parts, conf, &to->address, to->interface,
		    what, problems);
}

static void ATTR_PRINTF(4, 5)
leave_directory(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems, const char *fmt, ...)
{
	bool first = parts->lack.error == 0;
	char detail[sizeof(parts->lack.detail)];
	int error = errno;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	leave_out(parts, conf, error, problems, "%s", detail);
	if (first)
		parts->lack.archive = true;
}

/* An archive that waits for a disk does not keep the channel from relaying. */
static void ATTR_PRINTF(5, 6)
wait_for_directory(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems, const char *end, const char *fmt, ...)
{
	char why[sizeof(parts->archive_away)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	report_warning(problems, "channel %s: %s: until %s, nothing is "
	    "archived, and what the ring cannot hold is shed", conf->name,
	    why, end);
	directory_lose(parts, why);
}

static void
open_archive(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	const char *base = conf->archive.directory;
	char by[DIRECTORY_BY_SIZE];

	if (!conf->archive.enabled || parts->archive != -1)
		return;
	switch (directory_open(parts, conf, by)) {
	case DIRECTORY_OPEN:
		if (conf->user.uid == 0 && !parts->archive_remote &&
		    faccessat(parts->archive, ".", W_OK | X_OK,
		    AT_EACCESS) == -1)
			report_warning(problems, "channel %s: no file can be "
			    "made in the archive directory %s/%s: %s",
			    conf->name, base, conf->name, strerror(errno));
		break;
	case DIRECTORY_UNMOUNTED:
		wait_for_directory(parts, conf, problems, "it is",
		    "%s is not mounted", conf->require_mount);
		break;
	case DIRECTORY_ASKED:
		wait_for_directory(parts, conf, problems, "it does",
		    "the archive directory %s/%s does not answer", base,
		    conf->name);
		break;
	case DIRECTORY_IN_USE:
		leave_directory(parts, conf, problems, "the archive "
		    "directory is in use by %s: %s/%s", by, base, conf->name);
		break;
	case DIRECTORY_FOREIGN:
		leave_directory(parts, conf, problems, "the archive "
		    "directory %s/%s belongs to %s", base, conf->name, by);
		break;
	case DIRECTORY_FAILED:
		leave_directory(parts, conf, problems, "cannot make or open "
		    "the archive directory %s/%s: %s", base, conf->name,
		    strerror(errno));
		break;
	}
}

static void
fill_streams(struct parts *parts, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	bool first = parts->lack.error == 0;
	size_t i;

	for (i = 0; i < parts->streams; i++)
		open_output(parts, &parts->stream[i], conf,
		    &conf->decimate[i].to, problems);
	if (first && parts->lack.error != 0)
		parts->lack.stream = true;
}

/* Whether `which' has what the lack is of.  What a worker waits for it waits
 * for whatever becomes of streams. */
static bool
decides_lack(const struct parts *parts, unsigned which)
{
	return (which & (PART_INPUT | PART_WORKER)) != 0 ||
	    parts->lack.error == 0 || parts->lack.stream;
}

void
parts_fill(struct parts *parts, const struct channel_conf *conf,
    unsigned which, struct conf_problems *problems)
{
	size_t i;

	if (decides_lack(parts, which))
		memset(&parts->lack, 0, sizeof(parts->lack));
	if ((which & PART_INPUT) != 0)
		parts_open_inputs(parts, conf, problems);
	if ((which & PART_WORKER) != 0) {
		for (i = 0; i < parts->outputs; i++)
			open_output(parts, &parts->output[i], conf,
			    &conf->relay[i], problems);
		open_archive(parts, conf, problems);
	}
	if ((which & PART_STREAMS) != 0)
		fill_streams(parts, conf, problems);
}

void
parts_open(struct parts *parts, const struct channel_conf *conf,
    unsigned which, struct conf_problems *problems)
{
	parts->have |= which;
	if ((which & PART_WORKER) != 0)
		while (parts->outputs < conf->relays)
			parts->output[parts->outputs++] = -1;
	if ((which & PART_STREAMS) != 0)
		while (parts->streams < conf->decimates)
			parts->stream[parts->streams++] = -1;
	parts_fill(parts, conf, which, problems);
}

static bool
all_open(const int *fds, size_t count)
{
	while (count > 0)
		if (fds[--count] == -1)
			return false;
	return true;
}

bool
parts_complete(const struct parts *parts, const struct channel_conf *conf,
    unsigned which)
{
	if ((which & PART_INPUT) != 0 && !parts_inputs_complete(parts))
		return false;
	if ((which & PART_WORKER) != 0 &&
	    (!all_open(parts->output, parts->outputs) ||
	    (conf->archive.enabled && parts->archive == -1)))
		return false;
	return (which & PART_STREAMS) == 0 ||
	    all_open(parts->stream, parts->streams);
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
		parts_close_inputs(parts);
		close_some(&parts->feed, &one);
		parts->feed = -1;
	}
	if ((which & PART_WORKER) != 0) {
		close_some(parts->output, &parts->outputs);
		directory_close(parts);
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
		to->inputs = from->inputs;
		to->feed = from->feed;
	}
	if ((have & PART_WORKER) != 0) {
		memcpy(to->output, from->output, sizeof(to->output));
		memcpy(to->output_at, from->output_at, sizeof(to->output_at));
		to->outputs = from->outputs;
		to->archive = from->archive;
		memcpy(to->archive_away, from->archive_away,
		    sizeof(to->archive_away));
		to->archive_remote = from->archive_remote;
		to->archive_path = from->archive_path;
		to->errand = from->errand;
		to->schemas = from->schemas;
		to->schemas_due = from->schemas_due;
	}
	if ((have & PART_STREAMS) != 0) {
		memcpy(to->stream, from->stream, sizeof(to->stream));
		memcpy(to->stream_at, from->stream_at, sizeof(to->stream_at));
		to->streams = from->streams;
	}
	to->have |= have;
	if (decides_lack(to, have))
		to->lack = from->lack;
	parts_init(from);
}
