/* SPDX-License-Identifier: ISC */
/*
 * Names of an archive's files.  Worker and tools.  Must not take a name for
 * one of mcrelay's that mcrelay would not have written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/when.h"

#define REJECTED	".rejected"

void
archive_name_write(char name[static ARCHIVE_NAME_SIZE], const char *channel,
    enum archive_kind kind, uint64_t started_ns, uint64_t first_sequence)
{
	char utc[UTC_TEXT_SIZE];

	format_utc(started_ns, utc);
	snprintf(name, ARCHIVE_NAME_SIZE, "%s%s_%s_%" PRIu64 ARCHIVE_AVRO,
	    channel, kind == ARCHIVE_REJECTED ? REJECTED : "", utc,
	    first_sequence);
}

const char *
archive_kind_name(enum archive_kind kind)
{
	return kind == ARCHIVE_REJECTED ? "rejected" : "main";
}

/* What format_utc() has written; whether it has is not asked here. */
static bool
read_utc(const char *text, uint64_t *ns)
{
	char utc[UTC_TEXT_SIZE];
	int64_t time_ns;

	snprintf(utc, sizeof(utc), "%s", text);
	if (!when_parse(utc, &time_ns))
		return false;
	*ns = (uint64_t)time_ns;
	return true;
}

static bool
ends_in(const char *text, size_t size, const char *end)
{
	const size_t length = strlen(end);

	return size >= length &&
	    memcmp(text + size - length, end, length) == 0;
}

static bool
is_ending(const char *text)
{
	static const char *const endings[] = {
		ARCHIVE_AVRO, ARCHIVE_AVRO ARCHIVE_PART,
		ARCHIVE_AVRO ARCHIVE_TORN, ARCHIVE_AVRO ARCHIVE_BAD,
	};

	for (size_t i = 0; i < NITEMS(endings); i++)
		if (strcmp(text, endings[i]) == 0)
			return true;
	return false;
}

/* Whether a channel can be called so: what leads elsewhere cannot. */
static bool
is_channel(const char *text, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return size > 0 && size <= CHANNEL_NAME_MAX && text[0] != '.' &&
	    strspn(text, letters) >= size;
}

/* What is before the time, `size' bytes: channel and kind. */
static bool
read_head(const char *text, size_t size, const char *channel,
    struct archive_name *name)
{
	const size_t mark = strlen(REJECTED);

	name->kind = ARCHIVE_MAIN;
	name->channel_size = channel != NULL ? strlen(channel) : size;
	if (channel != NULL && (size < name->channel_size ||
	    memcmp(text, channel, name->channel_size) != 0))
		return false;
	if (channel == NULL ? ends_in(text, size, REJECTED) :
	    size == name->channel_size + mark) {
		name->kind = ARCHIVE_REJECTED;
		name->channel_size = size - mark;
	}
	return is_channel(text, name->channel_size);
}

bool
archive_name_parse(const char *text, const char *channel,
    struct archive_name *name)
{
	char head[CHANNEL_NAME_MAX + 1], again[ARCHIVE_NAME_SIZE];
	const char *number = strrchr(text, '_');
	size_t size;
	char *end;

	if (number == NULL || number - text < UTC_TEXT_SIZE)
		return false;
	size = (size_t)(number - text) - UTC_TEXT_SIZE;
	if (!read_head(text, size, channel, name) ||
	    !read_utc(text + size + 1, &name->started_ns))
		return false;
	errno = 0;
	name->first_sequence = strtoull(number + 1, &end, 10);
	if (errno != 0 || !is_ending(end))
		return false;
	name->ending = end;
	/* All else is right when it would be written like this. */
	memcpy(head, text, name->channel_size);
	head[name->channel_size] = '\0';
	archive_name_write(again, head, name->kind, name->started_ns,
	    name->first_sequence);
	size = (size_t)(end - text) + strlen(ARCHIVE_AVRO);
	return strlen(again) == size && memcmp(again, text, size) == 0;
}

bool
archive_is_spare(int fd)
{
	char found[sizeof(ARCHIVE_SPARE_MARK) - 1];

	return pread(fd, found, sizeof(found), 0) == sizeof(found) &&
	    memcmp(found, ARCHIVE_SPARE_MARK, sizeof(found)) == 0;
}

const char *
archive_write_name(enum archive_write write)
{
	static const char *const names[] = {
#define WRITE_NAME(constant, name)	[constant] = #name,
		ARCHIVE_BACK_END_TABLE(WRITE_NAME)
#undef WRITE_NAME
	};

	return write < ARCHIVE_WRITES ? names[write] : "?";
}
