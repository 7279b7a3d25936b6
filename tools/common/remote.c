/* SPDX-License-Identifier: ISC */
/*
 * A stream of NATS JetStream as files.  Tools.
 */
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/util.h"
#include "tools/common/fetch.h"
#include "tools/common/remote.h"

/* A message as a file. */
struct mirror {
	struct reader	reader;
	bool		open;
};

struct remote {
	char		*name;
	struct fetch	 fetch;
	struct mirror	 mirror;
	char		 why[160];
};

/*** Messages as files. ***/

static void
mirror_close(struct mirror *mirror)
{
	if (mirror->open)
		reader_close(&mirror->reader);
	mirror->open = false;
}

static bool
write_all(int fd, const char *data, size_t size)
{
	ssize_t done;

	for (size_t at = 0; at < size; at += (size_t)done) {
		done = pwrite(fd, data + at, size - at, (off_t)at);
		if (done <= 0)
			return false;
	}
	return true;
}

/* Opened for `mirror'; NULL, or what is wrong with it. */
static const char *
mirror_open(struct mirror *mirror, const char *data, size_t size)
{
	const char *why = "";
	int fd;

	mirror_close(mirror);
	fd = memory_open("mcrelay-message");
	if (fd == -1 || !write_all(fd, data, size))
		fatal("memory for a message");
	mirror->open = reader_open_fd(&mirror->reader, fd, &why) == READER_OK;
	return mirror->open ? NULL : why;
}

/* Whether it has the header of the one before; if so, it takes its place. */
static bool
mirror_replace(struct mirror *mirror, const char *data, size_t size)
{
	struct avro_walk *walk = &mirror->reader.walk;

	if (!mirror->open || size < walk->header_size ||
	    memcmp(data, walk->header, walk->header_size) != 0)
		return false;
	if (ftruncate(mirror->reader.fd, (off_t)size) == -1 ||
	    !write_all(mirror->reader.fd, data, size))
		fatal("memory for a message");
	reader_again(&mirror->reader, size);
	return true;
}

/*** The first one of a time. ***/

/* Of the first record; RECORDS_NO_TIME: not known.  False: no answer. */
static bool
find_time(struct remote *remote, uint64_t number, int64_t *time_ns)
{
	struct mirror mirror = { .open = false };
	struct reader_block block;
	natsMsg *message;
	const char *why;

	*time_ns = RECORDS_NO_TIME;
	if (!fetch_one(&remote->fetch, number, &message))
		return false;
	if (message != NULL && mirror_open(&mirror, natsMsg_GetData(message),
	    (size_t)natsMsg_GetDataLength(message)) == NULL &&
	    reader_next(&mirror.reader, &block, &why) == READER_OK)
		*time_ns = block.first_ns;
	mirror_close(&mirror);
	natsMsg_Destroy(message);
	return true;
}

void
remote_seek(struct remote *remote, int64_t start_ns)
{
	/* What begins before that time, and what need not be looked at. */
	uint64_t low = remote->fetch.next, high = remote->fetch.last + 1;
	uint64_t middle;
	int64_t time_ns;

	while (low + 1 < high) {
		middle = low + (high - low) / 2;
		if (!find_time(remote, middle, &time_ns))
			return;
		/* One that was removed: then from further before on. */
		if (time_ns == RECORDS_NO_TIME || time_ns >= start_ns)
			high = middle;
		else
			low = middle;
	}
	remote->fetch.next = low;
}

/*** The door. ***/

enum remote_status
remote_next(struct remote *remote, bool follow, struct reader **reader,
    const char **why)
{
	natsMsg *message;
	const char *data, *wrong;
	size_t size;

	switch (fetch_next(&remote->fetch, follow)) {
	case FETCH_MESSAGE:
		break;
	case FETCH_NOTHING:
		return REMOTE_NOTHING;
	case FETCH_END:
		return REMOTE_END;
	default:
		*why = remote->fetch.why;
		return REMOTE_FAILED;
	}
	message = remote->fetch.current;
	data = natsMsg_GetData(message);
	size = (size_t)natsMsg_GetDataLength(message);
	*reader = &remote->mirror.reader;
	if (mirror_replace(&remote->mirror, data, size))
		return REMOTE_MORE;
	wrong = mirror_open(&remote->mirror, data, size);
	if (wrong == NULL)
		return REMOTE_FILE;
	snprintf(remote->why, sizeof(remote->why), "message %llu: %s",
	    (unsigned long long)remote->fetch.next - 1, wrong);
	*why = remote->why;
	return REMOTE_DAMAGED;
}

const char *
remote_name(const struct remote *remote)
{
	return remote->name;
}

/* Without a password that it may have. */
static char *
printable_address(const char *address)
{
	const char *host = strstr(address, "//") + 2, *at = strrchr(host, '@');

	return xasprintf("%.*s%s", (int)(host - address), address,
	    at != NULL ? at + 1 : host);
}

/* The parts of an address: server, malloc'ed, and stream.  False: *why. */
static bool
cut_address(const char *address, char **server, const char **stream,
    char **why)
{
	const char *slash = strrchr(strstr(address, "//") + 2, '/');

	*stream = slash == NULL ? "" : slash + 1;
	if (**stream == '\0' ||
	    (*stream)[strcspn(*stream, ".*> \t\\")] != '\0') {
		*why = xstrdup("nats://SERVER/STREAM is the address of a "
		    "stream");
		return false;
	}
	*server = xasprintf("%.*s", (int)(slash - address), address);
	return true;
}

struct remote *
remote_open(const char *address, char **why)
{
	struct remote *remote;
	const char *stream;
	char *server;

	if (!cut_address(address, &server, &stream, why))
		return NULL;
	remote = xcalloc(1, sizeof(*remote));
	remote->name = printable_address(address);
	if (!fetch_open(&remote->fetch, server, stream)) {
		*why = xasprintf("%s: %s", remote->name, remote->fetch.why);
		remote_close(remote);
		remote = NULL;
	}
	free(server);
	return remote;
}

void
remote_close(struct remote *remote)
{
	mirror_close(&remote->mirror);
	fetch_close(&remote->fetch);
	free(remote->name);
	free(remote);
}
