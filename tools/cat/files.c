/* SPDX-License-Identifier: ISC */
/*
 * Files, and directories of them.  mcrelay-cat.  Follows no link in a
 * directory, which is a worker's.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/cat/packet.h"
#include "tools/common/capture.h"
#include "tools/common/listing.h"
#include "tools/common/remote.h"

/* Where the datagrams went, as far as the file says. */
static void
read_listen(const struct avro_walk *walk, struct sockaddr_storage *to)
{
	const uint8_t *value;
	size_t size;

	memset(to, 0, sizeof(*to));
	value = avro_walk_meta(walk, "mcrelay.listen", &size);
	if (value != NULL)
		packet_address((const char *)value, size, to);
}

bool
files_begin(struct cat *cat, const struct reader *reader, const char *path)
{
	struct shape shape = { .path = path, .records = &reader->records };

	if (!reader->codec_known) {
		log_warnx("%s: codec %s is not supported by this program",
		    path, reader->codec_name);
		cat->failed = true;
		return false;
	}
	shape.schema = (const char *)avro_walk_meta(&reader->walk,
	    "avro.schema", &shape.schema_size);
	read_listen(&reader->walk, &shape.to);
	return cat_begin(cat, &shape);
}

void
files_block(struct cat *cat, const struct reader_block *block, uint64_t skip)
{
	const uint8_t *at = block->data, *end = at + block->good_size;

	for (uint64_t i = 0; i < block->good && !cat_done(cat); i++) {
		if (i < skip)
			at = value_skip(cat->shape.tree->type, at, end);
		else
			at = cat_show(cat, at, end);
	}
}

void
files_damage(struct cat *cat, const char *path,
    const struct reader_block *block)
{
	if (block->damage != NULL)
		cat_partly(cat, "%s: damaged at offset %" PRIu64 ": %s; going "
		    "on behind it", path, block->offset, block->damage);
}

/* The file is not one, or cannot be read any more. */
static void
unusable(struct cat *cat, const char *path, const char *why)
{
	log_warnx("%s: %s", path, why);
	cat->failed = true;
}

/* Up to the last whole block. */
static void
show_blocks(struct cat *cat, struct reader *reader, const char *path)
{
	struct reader_block block;
	enum reader_status status;
	const char *why;

	while (!cat_done(cat)) {
		status = reader_next(reader, &block, &why);
		if (status == READER_UNUSABLE)
			unusable(cat, path, why);
		if (status != READER_OK || block.open_end)
			return;
		files_damage(cat, path, &block);
		files_block(cat, &block, 0);
	}
}

static void
show_open(struct cat *cat, struct reader *reader, const char *path)
{
	if (files_begin(cat, reader, path))
		show_blocks(cat, reader, path);
	reader_close(reader);
}

static void
show_file(struct cat *cat, const char *path)
{
	struct reader reader;
	const char *why;

	if (capture_is(path)) {
		capture_run(cat, path);
		return;
	}
	if (reader_open_by(&reader, &cat->reading, AT_FDCWD, path, 0, &why) ==
	    READER_OK)
		show_open(cat, &reader, path);
	else
		unusable(cat, path, why);
}

/* One that was being written may have been finished since. */
static void
show_listed(struct cat *cat, const char *directory,
    const struct listed *listed)
{
	char *path = xasprintf("%s/%s%s", directory, listed->stem,
	    listed->finished ? "" : ARCHIVE_PART);
	struct reader reader;
	enum reader_status status;
	const char *why;

	errno = 0;
	status = reader_open_by(&reader, &cat->reading, AT_FDCWD, path,
	    O_NOFOLLOW, &why);
	if (status != READER_OK && !listed->finished && errno == ENOENT) {
		free(path);
		path = xasprintf("%s/%s", directory, listed->stem);
		status = reader_open_by(&reader, &cat->reading, AT_FDCWD,
		    path, O_NOFOLLOW, &why);
	}
	if (status == READER_OK && span_leaves_out(&cat->options->span,
	    &reader.records, listed))
		reader_close(&reader);
	else if (status == READER_OK)
		show_open(cat, &reader, path);
	else if (status != READER_END)
		/* One that is not readable says nothing about the others. */
		cat_partly(cat, "%s: %s", path, why);
	free(path);
}

static void
show_directory(struct cat *cat, const char *directory)
{
	struct listing listing;

	if (cat->options->follow) {
		follow_directory(cat, directory, NULL);
		return;
	}
	if (!listing_read_path(&listing, directory)) {
		unusable(cat, directory, strerror(errno));
		return;
	}
	if (listing.files == 0)
		unusable(cat, directory, "no file of an archive in it");
	for (size_t i = 0; i < listing.files && !cat_done(cat); i++)
		show_listed(cat, directory, &listing.file[i]);
	listing_free(&listing);
}

/* From this file on. */
static void
follow_file(struct cat *cat, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL ? xstrdup(".") :
	    xasprintf("%.*s", (int)MAX_OF(slash - path, 1), path);
	char *stem = xstrdup(slash == NULL ? path : slash + 1);
	const size_t size = strlen(stem), part = strlen(ARCHIVE_PART);

	if (size > part && strcmp(stem + size - part, ARCHIVE_PART) == 0)
		stem[size - part] = '\0';
	follow_directory(cat, directory, stem);
	free(directory);
	free(stem);
}

/* The name of a channel is no path. */
static void
show_channel(struct cat *cat, const char *channel)
{
	char *why, *directory;

	directory = channel_directory(cat->options->conf, channel, &why);
	if (directory != NULL)
		show_directory(cat, directory);
	else
		unusable(cat, channel, why);
	free(directory);
	free(why);
}

void
cat_operand(struct cat *cat, const char *operand)
{
	struct stat st;

	if (remote_is(operand))
		stream_run(cat, operand);
	else if (stat(operand, &st) == 0)
		S_ISDIR(st.st_mode) ? show_directory(cat, operand) :
		    cat->options->follow ? follow_file(cat, operand) :
		    show_file(cat, operand);
	else if (errno == ENOENT && strchr(operand, '/') == NULL)
		show_channel(cat, operand);
	else
		unusable(cat, operand, strerror(errno));
}
