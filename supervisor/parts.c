/* SPDX-License-Identifier: ISC */
/*
 * Opens the descriptors of a channel.  Supervisor only.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
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

/* This process cannot open it, whatever becomes of the rest of the world. */
static bool
exhausted(int error)
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
	if (exhausted(error) && problems != NULL)
		complain_exhausted(problems, conf, lack.detail, error);
	if (parts->lack.error == 0)
		parts->lack = lack;
}

static void
leave_socket(struct parts *parts, const struct channel_conf *conf,
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

/* It is a part, but not there. */
static void
drop_input(struct parts *parts)
{
	unsigned have = parts->have;

	parts_close(parts, PART_INPUT);
	parts->have = have;
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
	leave_socket(parts, conf, &conf->listen.address,
	    conf->listen.interface, what, problems);
	drop_input(parts);
	return true;
}

void
parts_leave_input(struct parts *parts, const struct channel_conf *conf)
{
	errno = EADDRINUSE;
	leave_socket(parts, conf, &conf->listen.address,
	    conf->listen.interface, "bind", NULL);
	drop_input(parts);
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

	if (parts->input != -1)
		return;
	open_sockets(parts, conf, &what);
	if (parts->input == -1) {
		leave_socket(parts, conf, &conf->listen.address,
		    conf->listen.interface, what, problems);
		return;
	}
	parts_resize(parts, conf, problems);
	(void)parts_bind(parts, conf, problems);
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
		leave_socket(parts, conf, &to->address, to->interface, what,
		    problems);
}

static void
leave_directory(struct parts *parts, const struct channel_conf *conf,
    const char *path, pid_t holder, struct conf_problems *problems)
{
	bool first = parts->lack.error == 0;
	char by[64] = "another process";
	int error = errno;

	if (holder != 0)
		snprintf(by, sizeof(by), "process %d", (int)holder);
	if (error == EBUSY)
		leave_out(parts, conf, error, problems, "the archive "
		    "directory is in use by %s: %s", by, path);
	else
		leave_out(parts, conf, error, problems, "cannot make or open "
		    "the archive directory %s: %s", path, strerror(error));
	if (first)
		parts->lack.archive = true;
}

/* As to file systems without such locks, nobody else is believed to write
 * there. */
static bool
claim(int fd, pid_t *holder, const struct channel_conf *conf,
    const char *path, struct conf_problems *problems)
{
	if (dirs_lock(fd, holder) == 0)
		return true;
	if (errno == EBUSY)
		return false;
	report_warning(problems, "channel %s: the archive directory %s cannot "
	    "be locked: %s: see to it that no other mcrelayd writes there",
	    conf->name, path, strerror(errno));
	return true;
}

static void
open_archive(struct parts *parts, const struct channel_conf *conf,
    const struct privdrop *owner, struct conf_problems *problems)
{
	pid_t holder = 0;
	char *path;
	int fd;

	if (!conf->archive.enabled || parts->archive != -1)
		return;
	path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	fd = dirs_open(path, ARCHIVE_MODE, owner);
	if (fd == -1 || !claim(fd, &holder, conf, path, problems)) {
		leave_directory(parts, conf, path, holder, problems);
		if (fd != -1)
			close(fd);
	} else {
		parts->archive = fd;
		if (owner == NULL && faccessat(fd, ".", W_OK | X_OK,
		    AT_EACCESS) == -1)
			report_warning(problems, "channel %s: no file can be "
			    "made in the archive directory %s: %s",
			    conf->name, path, strerror(errno));
	}
	free(path);
}

static bool
is_at(int fd, const char *path)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 && stat(path, &there) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

void
parts_share_archive(struct parts *parts, int archive,
    const struct channel_conf *conf)
{
	char *path;

	if (!conf->archive.enabled || parts->archive != -1 || archive == -1)
		return;
	path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	if (is_at(archive, path))
		parts->archive = fcntl(archive, F_DUPFD_CLOEXEC, 0);
	free(path);
}

int
parts_renew_archive(struct parts *parts, const struct channel_conf *conf,
    const struct privdrop *owner)
{
	char *path = xasprintf("%s/%s", conf->archive.directory, conf->name);
	int fd = dirs_open(path, ARCHIVE_MODE, owner), saved;
	bool same = fd != -1 && is_at(parts->archive, path);
	pid_t holder;

	free(path);
	if (fd == -1)
		return -1;
	if (!same && dirs_lock(fd, &holder) == -1 && errno == EBUSY) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	if (same)
		close(fd);
	else {
		close(parts->archive);
		parts->archive = fd;
	}
	return 0;
}

void
parts_close_archive(struct parts *parts)
{
	if (parts->archive != -1)
		close(parts->archive);
	parts->archive = -1;
}

void
parts_fill(struct parts *parts, const struct channel_conf *conf,
    unsigned which, const struct privdrop *owner,
    struct conf_problems *problems)
{
	size_t i;

	memset(&parts->lack, 0, sizeof(parts->lack));
	if ((which & PART_INPUT) != 0)
		open_input(parts, conf, problems);
	if ((which & PART_WORKER) != 0) {
		for (i = 0; i < parts->outputs; i++)
			open_output(parts, &parts->output[i], conf,
			    &conf->relay[i], problems);
		open_archive(parts, conf, owner, problems);
	}
	if ((which & PART_STREAMS) != 0)
		for (i = 0; i < parts->streams; i++)
			open_output(parts, &parts->stream[i], conf,
			    &conf->decimate[i].to, problems);
}

void
parts_open(struct parts *parts, const struct channel_conf *conf,
    unsigned which, const struct privdrop *owner,
    struct conf_problems *problems)
{
	parts->have |= which;
	if ((which & PART_WORKER) != 0)
		while (parts->outputs < conf->relays)
			parts->output[parts->outputs++] = -1;
	if ((which & PART_STREAMS) != 0)
		while (parts->streams < conf->decimates)
			parts->stream[parts->streams++] = -1;
	parts_fill(parts, conf, which, owner, problems);
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
	if ((which & PART_INPUT) != 0 && parts->input == -1)
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
		close_some(&parts->input, &one);
		one = 1;
		close_some(&parts->feed, &one);
		parts->input = parts->feed = -1;
		parts->bound = false;
		memset(&parts->input_at, 0, sizeof(parts->input_at));
	}
	if ((which & PART_WORKER) != 0) {
		close_some(parts->output, &parts->outputs);
		parts_close_archive(parts);
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
	to->lack = from->lack;
	parts_init(from);
}
