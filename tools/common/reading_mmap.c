/* SPDX-License-Identifier: ISC */
/*
 * Reading files by mapping them.  Tools.
 *
 * Who touches a page behind the end of a file that somebody else has cut off
 * gets SIGBUS.  The guard puts zeros in the place of all that is missing of
 * the mapping, and says so: who has used them asks for `cut', and believes
 * nothing of it.  It knows of the mappings of its own thread, which is the only
 * one that touches them, and which is not changing the list just then.
 */
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/common/reading.h"

struct mapping {
	LIST_ENTRY(mapping)	 entry;
	struct reading_file	*file;
	uint8_t			*data;
	size_t			 size;
};

static _Thread_local LIST_HEAD(, mapping) mappings =
    LIST_HEAD_INITIALIZER(mappings);

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* False: the address is in none. */
static bool
replace_missing(uint8_t *address)
{
	struct mapping *mapping;
	size_t at;

	LIST_FOREACH(mapping, &mappings, entry) {
		if (address < mapping->data ||
		    address >= mapping->data + mapping->size)
			continue;
		at = (size_t)(address - mapping->data) & ~(page_size() - 1);
		mapping->file->cut = true;
		return mmap(mapping->data + at, mapping->size - at, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    MAP_FAILED;
	}
	return false;
}

static void
on_sigbus(int number, siginfo_t *info, void *context ATTR_UNUSED)
{
	const int saved = errno;

	/* Otherwise it comes again, and ends the process. */
	if (info->si_code <= 0 || !replace_missing(info->si_addr))
		signal(number, SIG_DFL);
	errno = saved;
}

static bool
begin(struct reading *reading ATTR_UNUSED, char **why)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO,
	};

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, NULL) == 0)
		return true;
	*why = xasprintf("no guard for SIGBUS");
	return false;
}

static bool
open_file(struct reading_file *file)
{
	struct mapping *mapping;
	void *data;

	if (file->size == 0 || file->size > SIZE_MAX / 2)
		return false;
	data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_SHARED, file->fd,
	    0);
	/* Of a file system that cannot, or there is no more room. */
	if (data == MAP_FAILED)
		return false;
	mapping = xmalloc(sizeof(*mapping));
	*mapping = (struct mapping){
		.file = file,
		.data = data,
		.size = (size_t)file->size,
	};
	LIST_INSERT_HEAD(&mappings, mapping, entry);
	file->state = mapping;
	return true;
}

static void
close_file(struct reading_file *file)
{
	struct mapping *mapping = file->state;

	LIST_REMOVE(mapping, entry);
	munmap(mapping->data, mapping->size);
	free(mapping);
}

/* The kernel reads it meanwhile, and nobody waits. */
static void
ask_for(const struct mapping *mapping, uint64_t offset, size_t size)
{
	const uint64_t start = offset & ~(uint64_t)(page_size() - 1);

	if (start >= mapping->size)
		return;
	(void)madvise(mapping->data + start, (size_t)MIN_OF((uint64_t)size +
	    offset - start, mapping->size - start), MADV_WILLNEED);
}

static const uint8_t *
view(struct reading_file *file, uint64_t offset, size_t least, size_t most,
    struct buffer *room ATTR_UNUSED, size_t *got)
{
	const struct mapping *mapping = file->state;
	struct stat now;

	*got = MAX_OF(least, MIN_OF(most, file->reading->room));
	/* Up to the end of its page no signal tells, now and later. */
	if (fstat(file->fd, &now) == -1)
		return NULL;
	file->cut = file->cut || offset + *got > (uint64_t)now.st_size;
	if (file->cut || offset + *got > mapping->size) {
		errno = EIO;
		return NULL;
	}
	ask_for(mapping, offset + *got, file->reading->room);
	return mapping->data + offset;
}

const struct reading_ops reading_mmap = {
	.name = "mmap",
	.is_file = true,
	.begin = begin,
	.open = open_file,
	.close = close_file,
	.view = view,
};
