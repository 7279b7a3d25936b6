/* SPDX-License-Identifier: ISC */
/*
 * How bytes of files come into memory: the table of back ends, and what they
 * have in common; `pread'.  Tools.
 */
#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/common/reading.h"

const struct reading_ops *reading_more;

const struct option reading_option[] = {
	{ "io", required_argument, NULL, READING_OPTION },
	{ NULL, 0, NULL, 0 },
};

bool
reading_parse(char error[static OPTIONS_ERROR_SIZE], const char *name,
    const struct reading_ops **ops)
{
	const struct reading_ops *const all[] = {
		&reading_pread, &reading_uring, &reading_mmap, reading_more,
	};

	for (size_t i = 0; i < NITEMS(all); i++)
		if (all[i] != NULL && strcmp(all[i]->name, name) == 0) {
			*ops = all[i];
			return true;
		}
	return options_fail(error, "--io %s: not pread, io_uring or mmap",
	    name);
}

void
reading_begin(struct reading *reading, const struct reading_ops *ops,
    size_t room)
{
	static atomic_bool said;
	char *why = NULL;

	*reading = (struct reading){ .ops = ops, .room = room };
	if (ops->begin == NULL || ops->begin(reading, &why))
		return;
	if (!atomic_exchange_explicit(&said, true, memory_order_relaxed))
		log_info("files are read by %s: %s", reading_pread.name, why);
	free(why);
	reading->ops = &reading_pread;
}

void
reading_end(struct reading *reading)
{
	if (reading->ops->end != NULL)
		reading->ops->end(reading);
}

void
reading_turn(struct reading *reading)
{
	if (reading->ops->turn != NULL)
		reading->ops->turn(reading);
}

void
reading_open(struct reading_file *file, struct reading *reading, int fd,
    uint64_t size)
{
	*file = (struct reading_file){
		.reading = reading,
		.ops = reading->ops,
		.fd = fd,
		.size = size,
	};
	if (!file->ops->open(file))
		file->ops = &reading_pread;
}

void
reading_plainly(struct reading_file *file)
{
	file->ops->close(file);
	file->ops = &reading_pread;
}

void
reading_close(struct reading_file *file)
{
	reading_plainly(file);
}

const uint8_t *
reading_view(struct reading_file *file, uint64_t offset, size_t least,
    size_t most, struct buffer *room, size_t *got)
{
	return file->ops->view(file, offset, least, most, room, got);
}

bool
reading_at_hand(const struct reading_file *file, uint64_t offset)
{
	return file->ops->at_hand != NULL &&
	    file->ops->at_hand(file, offset);
}

bool
reading_copy(struct reading_file *file, void *data, size_t size,
    uint64_t offset)
{
	size_t done = 0;
	ssize_t got;

	while (done < size) {
		got = pread(file->fd, (uint8_t *)data + done, size - done,
		    (off_t)(offset + done));
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return false;
		if (got == 0) {
			file->cut = true;
			errno = EIO;
			return false;
		}
		done += (size_t)got;
	}
	return true;
}

static bool
plain_open(struct reading_file *file ATTR_UNUSED)
{
	return true;
}

static void
plain_close(struct reading_file *file ATTR_UNUSED)
{
}

static const uint8_t *
plain_view(struct reading_file *file, uint64_t offset, size_t least,
    size_t most, struct buffer *room, size_t *got)
{
	*got = MAX_OF(least, MIN_OF(most, file->reading->room));
	buffer_reserve(room, *got);
	return reading_copy(file, room->data, *got, offset) ? room->data :
	    NULL;
}

const struct reading_ops reading_pread = {
	.name = "pread",
	.open = plain_open,
	.close = plain_close,
	.view = plain_view,
};
