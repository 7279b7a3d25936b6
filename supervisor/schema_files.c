/* SPDX-License-Identifier: ISC */
/*
 * The schemas of decimated streams, as files.  Supervisor only.
 */
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/schema_files.h"

#define SCHEMA_MODE	0644

/*
 * The directory is the worker's, who may put anything there under any name.
 * So what is left of an earlier attempt is removed, never opened, and the
 * file is one that we made: a FIFO would block us, a link lead elsewhere.
 */
static int
open_fresh(int directory, const char *name)
{
	if (unlinkat(directory, name, 0) == -1 && errno != ENOENT)
		return -1;
	return openat(directory, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, SCHEMA_MODE);
}

/* Whole or not at all; 0, or -1 with errno. */
static int
write_text(int directory, const char *name, const char *text)
{
	size_t size = strlen(text);
	int fd, error = 0;

	fd = open_fresh(directory, name);
	if (fd == -1)
		return -1;
	errno = EIO;		/* of a short write */
	if (write(fd, text, size) != (ssize_t)size)
		error = errno;
	if (close(fd) == -1 && error == 0)
		error = errno;
	errno = error;
	return error == 0 ? 0 : -1;
}

static void
write_schema(int directory, const struct channel_conf *channel,
    const struct stream_conf *stream)
{
	char *name = xasprintf("%s.%s.avsc", channel->name, stream->name);
	char *fresh = xasprintf("%s.new", name);
	char *text = xasprintf("%s\n", stream->schema_text);

	if (write_text(directory, fresh, text) == -1 ||
	    renameat(directory, fresh, directory, name) == -1)
		log_warn("channel %s: cannot write %s beside the archive",
		    channel->name, name);
	free(text);
	free(fresh);
	free(name);
}

/* As the channel's user, whose directory it is: what he may not do there we
 * do not do for him, and what is made is his. */
static void
write_all(int directory, const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; directory != -1 && i < channel->decimates; i++)
		if (channel->decimate[i].schema_text != NULL)
			write_schema(directory, channel,
			    &channel->decimate[i]);
}

void
schema_files_write(int directory, const struct channel_conf *channel)
{
	int dumpable = prctl(PR_GET_DUMPABLE);

	if (!channel->own_user) {
		write_all(directory, channel);
		return;
	}
	setfsgid(channel->user.gid);
	setfsuid(channel->user.uid);
	write_all(directory, channel);
	setfsuid(geteuid());
	setfsgid(getegid());
	/* Which the change has taken away. */
	(void)prctl(PR_SET_DUMPABLE, dumpable);
}

static void
run_errand(int answer, int directory, const void *channel)
{
	schema_files_write(directory, channel);
	errand_say(answer);
}

static bool
any(const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; i < channel->decimates; i++)
		if (channel->decimate[i].schema_text != NULL)
			return true;
	return false;
}

void
schema_files_have_written(struct parts *parts,
    const struct channel_conf *channel, bool stuck)
{
	if (parts->archive_away[0] != '\0')
		return;
	if (!parts->archive_remote && !stuck) {
		schema_files_write(parts->archive, channel);
		return;
	}
	/* One that hangs ends with the descriptors that it writes to. */
	errand_forget(&parts->schemas);
	parts->schemas_due = any(channel);
	schema_files_go_on(parts, channel);
}

void
schema_files_go_on(struct parts *parts, const struct channel_conf *channel)
{
	bool written;

	if (parts->schemas.answer != 0 &&
	    errand_ended(&parts->schemas, &written))
		parts->schemas_due = !written;
	if (!parts->schemas_due || parts->schemas.answer != 0 ||
	    parts->archive_away[0] != '\0')
		return;
	/* Of a kind of their own: they keep nobody from looking. */
	if (errand_start(&parts->schemas,
	    ~errand_kind(channel->archive.directory), run_errand,
	    parts->archive, channel) == 0 || errno == EAGAIN)
		return;
	parts->schemas_due = false;
	log_warn("channel %s: cannot write schemas beside the archive",
	    channel->name);
}
