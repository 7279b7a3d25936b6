/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel's `archive'.  Supervisor only.  Makes no directory and
 * does not ask whether one exists: that belongs to the start of a channel.
 */
#include <stdlib.h>
#include <string.h>

#include "common/codec.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

#define DAY	(86400 * NS_PER_S)

static const struct number_key block_size_key = {
	.name = "block_size", .unit = UNIT_BYTES, .min = 4 << 10,
	.max = 64 << 20, .preset = 256 << 10,
};

static const struct number_key flush_interval_key = {
	.name = "flush_interval", .unit = UNIT_TIME, .min = 10 * NS_PER_MS,
	.max = 3600 * NS_PER_S, .preset = NS_PER_S,
};

static const struct number_key rotate_size_key = {
	.name = "size", .unit = UNIT_BYTES, .min = 64 << 10,
	.max = UINT64_C(1) << 50, .preset = 1 << 30, .zero = true,
};

static const struct number_key rotate_interval_key = {
	.name = "interval", .unit = UNIT_TIME, .min = NS_PER_S,
	.max = 366 * DAY, .preset = 3600 * NS_PER_S, .zero = true,
};

static const struct number_key retain_age_key = {
	.name = "age", .unit = UNIT_TIME, .min = NS_PER_S, .max = 36600 * DAY,
};

static const struct number_key retain_size_key = {
	.name = "size", .unit = UNIT_BYTES, .min = 1 << 20,
	.max = UINT64_C(1) << 60,
};

static const struct number_key retain_files_key = {
	.name = "files", .min = 1, .max = 1000000000,
};

static const struct number_key recycle_files_key = {
	.name = "recycle_files", .min = 1, .max = RECYCLE_FILES_MAX,
	.preset = 2,
};

static const struct number_key min_free_key = {
	.name = "min_free", .unit = UNIT_BYTES, .min = 1 << 20,
	.max = UINT64_C(1) << 60,
};

static const char *const sync_words[] = {
	[SYNC_NONE] = "none",
	[SYNC_INTERVAL] = "interval",
	[SYNC_BLOCK] = "block",
	NULL,
};

static const char *const write_words[] = {
#define WRITE_WORD(constant, name)	[constant] = #name,
	ARCHIVE_WRITE_TABLE(WRITE_WORD)
#undef WRITE_WORD
	NULL,
};

static const char *const overrun_words[] = {
	[OVERRUN_SHED] = "shed",
	[OVERRUN_BLOCK] = "block",
	NULL,
};

static void
read_block_size(struct section *section, struct archive_config *archive,
    uint64_t ring_size)
{
	const struct node *node;
	char size[NUMBER_TEXT_SIZE], most[NUMBER_TEXT_SIZE];

	archive->block_size = section_number(section, &block_size_key, &node);
	if (archive->block_size <= ring_size / RING_BLOCKS || section->partial)
		return;
	if (node == NULL) {
		archive->block_size = ring_size / RING_BLOCKS;
		return;
	}
	number_text(ring_size, UNIT_BYTES, size);
	number_text(ring_size / RING_BLOCKS, UNIT_BYTES, most);
	problem_error(section->problems, node->place,
	    "`block_size: %s' is more than a quarter of the ring: at most %s "
	    "with a `ring_size' of %s", node->text, most, size);
}

static void
read_rotate(struct section *parent, struct archive_config *archive)
{
	struct section section;

	(void)section_enter(parent, "rotate", &section);
	archive->rotate_size = section_number(&section, &rotate_size_key,
	    NULL);
	archive->rotate_interval_ns = section_number(&section,
	    &rotate_interval_key, NULL);
	section_close(&section);
}

static void
read_retain(struct section *parent, struct archive_config *archive)
{
	struct section section;

	if (!section_enter(parent, "retain", &section))
		return;
	archive->retain_age_ns = section_number(&section, &retain_age_key,
	    NULL);
	archive->retain_size = section_number(&section, &retain_size_key,
	    NULL);
	archive->retain_files = section_number(&section, &retain_files_key,
	    NULL);
	section_close(&section);
}

/* How many spare files are kept ready. */
static void
read_recycle(struct section *section, struct archive_config *archive)
{
	bool recycle = section_bool(section, "recycle", false);
	const struct node *node = section_get(section, "recycle");
	uint64_t files = section_number(section, &recycle_files_key, NULL);

	if (!recycle)
		return;
	archive->recycle = files;
	if (section->partial)
		return;
	if (archive->retain_age_ns == 0 && archive->retain_size == 0 &&
	    archive->retain_files == 0 && archive->min_free == 0)
		problem_error(section->problems, node->place, "`recycle' needs "
		    "`retain' or `min_free': without them no file is ever "
		    "done with");
	if (archive->sync == SYNC_NONE)
		problem_error(section->problems, node->place, "`recycle' needs "
		    "`sync: interval' or `block': what was never synced could "
		    "not be told from old data after a power cut");
}

static void
read_write(struct section *section, struct archive_config *archive)
{
	const struct node *node;

	archive->write = (uint32_t)section_word(section, "write",
	    write_words, WRITE_BUFFERED, &node);
	if (archive->write == WRITE_MMAP && archive->sync == SYNC_NONE &&
	    !section->partial)
		problem_error(section->problems, node->place, "`write: mmap' "
		    "needs `sync: interval' or `block': what was never synced "
		    "could not be told from pages that were half full when the "
		    "power was cut");
}

static void
read_directory(const struct conf_reader *reader, struct section *section,
    struct archive_config *archive)
{
	char *path = conf_read_path(reader, section, "directory", true,
	    DIRECTORY_MAX, NULL);

	if (path != NULL)
		(void)snprintf(archive->directory, sizeof(archive->directory),
		    "%s", path);
	free(path);
}

/* Else the archive would wait for what has nothing to do with it. */
static bool
is_below(const char *path, const char *above)
{
	size_t length = strlen(above);

	while (length > 1 && above[length - 1] == '/')
		length--;
	return strncmp(path, above, length) == 0 && (length == 1 ||
	    path[length] == '/' || path[length] == '\0');
}

static void
read_require_mount(const struct conf_reader *reader, struct section *section,
    struct channel_conf *conf)
{
	struct place place;

	conf->require_mount = conf_read_path(reader, section,
	    "require_mount", false, DIRECTORY_MAX, &place);
	if (conf->require_mount != NULL && !section->partial &&
	    conf->archive.directory[0] != '\0' &&
	    !is_below(conf->archive.directory, conf->require_mount))
		problem_error(section->problems, place, "`require_mount: %s' "
		    "is not `directory', nor above it", conf->require_mount);
}

static bool
is_none(struct section *channel)
{
	const struct node *node = section_get(channel, "archive");

	return node == NULL || (node->kind == NODE_SCALAR &&
	    strcmp(node->text, "none") == 0);
}

void
conf_read_archive(const struct conf_reader *reader, struct section *channel,
    struct channel_conf *conf)
{
	struct archive_config *archive = &conf->archive;
	const struct node *node;
	struct section section;

	if (is_none(channel) || !section_enter(channel, "archive", &section))
		return;
	archive->enabled = 1;
	read_directory(reader, &section, archive);
	read_require_mount(reader, &section, conf);
	archive->codec = (uint32_t)section_word(&section, "codec",
	    codec_words, CODEC_NULL, &node);
	if (codec_missing(archive->codec) != NULL)
		problem_error(section.problems, node->place, "`codec: %s' is "
		    "missing in this build of mcrelay: it needs the Debian "
		    "package %s when it is built", node->text,
		    codec_missing(archive->codec));
	read_block_size(&section, archive, conf->ring_size);
	archive->flush_interval_ns = section_number(&section,
	    &flush_interval_key, NULL);
	archive->sync = (uint32_t)section_word(&section, "sync",
	    sync_words, SYNC_INTERVAL, NULL);
	read_write(&section, archive);
	read_rotate(&section, archive);
	read_retain(&section, archive);
	archive->min_free = section_number(&section, &min_free_key, NULL);
	read_recycle(&section, archive);
	archive->keep_unforwarded = section_bool(&section,
	    "keep_unforwarded", false);
	archive->on_overrun = (uint32_t)section_word(&section,
	    "on_overrun", overrun_words, OVERRUN_SHED, NULL);
	archive->envelope = section_bool(&section, "envelope", false);
	archive->cpu = conf_read_cpu(&section);
	section_close(&section);
}
