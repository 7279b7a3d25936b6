/* SPDX-License-Identifier: ISC */
/*
 * The repaired file.  mcrelay-verify.
 *
 * Its header is that of the damaged one, sync marker included, and whole
 * blocks are copied as they are.  Until it is complete its name ends in
 * ".part", as that of an archive does.  It never replaces a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/codec.h"
#include "common/datum.h"
#include "common/log.h"
#include "common/rename.h"
#include "common/util.h"
#include "tools/verify/verify.h"

void
repair_begin(struct repair *repair, const char *path, enum verify_keep keep)
{
	*repair = (struct repair){
		.path = path,
		.part = path != NULL ? xasprintf("%s" ARCHIVE_PART, path) :
		    NULL,
		.keep = keep,
		.fd = -1,
	};
}

/* With errno. */
static void
fail(struct repair *repair, const char *what, const char *path)
{
	log_warn("cannot %s %s", what, path);
	repair->failed = true;
}

static void
put(struct repair *repair, const void *data, size_t size)
{
	const uint8_t *at = data;
	ssize_t written;

	while (!repair->failed && size > 0) {
		written = write(repair->fd, at, size);
		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1) {
			fail(repair, "write", repair->part);
			return;
		}
		at += written;
		size -= (size_t)written;
	}
}

static void
create(struct repair *repair, const struct reader *reader)
{
	/* Better now than when all is written. */
	if (access(repair->path, F_OK) == 0) {
		errno = EEXIST;
		fail(repair, "create", repair->path);
		return;
	}
	repair->fd = open(repair->part, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0666);
	if (repair->fd == -1) {
		fail(repair, "create", repair->part);
		return;
	}
	put(repair, reader->walk.header, reader->walk.header_size);
}

static void
put_block(struct repair *repair, const struct reader *reader,
    uint64_t records, const uint8_t *data, size_t size)
{
	uint8_t head[2 * DATUM_LONG_SIZE_MAX];
	size_t n = datum_put_long(head, (int64_t)records);

	n += datum_put_long(head + n, (int64_t)size);
	put(repair, head, n);
	put(repair, data, size);
	put(repair, reader->walk.sync, AVRO_SYNC_SIZE);
	repair->blocks++;
	repair->records += records;
}

/* The good records of a block: what is stored of it is not what they are. */
static void
put_compressed(struct repair *repair, const struct reader *reader,
    const struct reader_block *block)
{
	struct codec *codec = codec_new(reader->codec);
	const size_t room = codec_bound(codec, block->good_size);
	uint8_t *out = xmalloc(room);

	put_block(repair, reader, block->good, out, codec_compress(codec,
	    block->data, block->good_size, out, room));
	free(out);
	codec_free(codec);
}

static bool
wanted(const struct repair *repair, const struct reader_block *block)
{
	if (block->good == 0)
		return false;
	return repair->keep == KEEP_ALL ||
	    repair->damage_seen == (repair->keep == KEEP_AFTER);
}

void
repair_block(struct repair *repair, const struct reader *reader,
    const struct reader_block *block)
{
	const bool want = wanted(repair, block);

	if (block->damage != NULL)
		repair->damage_seen = true;
	if (repair->failed || !want)
		return;
	if (repair->fd == -1)
		create(repair, reader);
	if (block->damage == NULL)
		put_block(repair, reader, block->records, block->stored,
		    block->stored_size);
	else if (reader->codec == CODEC_NULL)
		put_block(repair, reader, block->good, block->data,
		    block->good_size);
	else
		put_compressed(repair, reader, block);
}

static void
finish(struct repair *repair, bool good)
{
	if (!good)
		repair->failed = true;
	/* Both say what only now turns out: a full disk, for instance. */
	if (!repair->failed && fsync(repair->fd) == -1)
		fail(repair, "write", repair->part);
	if (close(repair->fd) == -1 && !repair->failed)
		fail(repair, "write", repair->part);
	if (!repair->failed && rename_new(AT_FDCWD, repair->part, AT_FDCWD,
	    repair->path) == -1)
		fail(repair, "create", repair->path);
}

bool
repair_end(struct repair *repair, bool good)
{
	if (repair->fd != -1) {
		finish(repair, good);
		if (repair->failed)
			unlink(repair->part);
	}
	free(repair->part);
	return !repair->failed;
}
