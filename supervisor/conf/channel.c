/* SPDX-License-Identifier: ISC */
/*
 * Reading a channel of the configuration.  Supervisor only.  What takes more
 * than one channel to be wrong is check.c's.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

static const struct number_key ring_size_key = {
	.name = "ring_size", .unit = UNIT_BYTES, .min = RING_SIZE_MIN,
	.max = RING_SIZE_MAX, .preset = RING_SIZE_PRESET,
};

static const struct number_key stale_after_key = {
	.name = "stale_after", .unit = UNIT_TIME, .min = 100 * NS_PER_MS,
	.max = 366 * 86400 * NS_PER_S, .preset = 10 * NS_PER_S, .zero = true,
};

static const struct number_key merge_window_key = {
	.name = "merge_window", .unit = UNIT_TIME, .min = NS_PER_MS,
	.max = 5 * NS_PER_S, .preset = 50 * NS_PER_MS,
};

static const struct number_key priority_key = {
	.name = "priority", .min = 0, .max = 20,
};

static const struct number_key cpu_key = {
	.name = "cpu", .min = 0, .max = CPU_SETSIZE - 1,
};

int
conf_read_cpu(struct section *section)
{
	const struct node *node;
	uint64_t number = section_number(section, &cpu_key, &node);

	return node != NULL ? (int)number : -1;
}

/*** Names and paths. ***/

/* [a-z0-9][a-z0-9_-]{0,62} */
static bool
is_name(const char *text)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char other[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strlen(text);

	return length > 0 && length <= CHANNEL_NAME_MAX &&
	    strspn(text, first) > 0 && strspn(text, other) == length;
}

bool
conf_read_name(struct section *section,
    char name[static CHANNEL_NAME_MAX + 1], struct place *place)
{
	const struct node *node = section_scalar(section, "name", true);

	name[0] = '\0';
	if (node == NULL)
		return false;
	*place = node->place;
	if (!is_name(node->text)) {
		problem_error(section->problems, node->place,
		    "the name `%s' is not allowed: up to %u of a-z, 0-9, "
		    "_ and -, a letter or digit first", node->text,
		    CHANNEL_NAME_MAX);
		return false;
	}
	(void)snprintf(name, CHANNEL_NAME_MAX + 1, "%s", node->text);
	return true;
}

char *
conf_read_path(const struct conf_reader *reader, struct section *section,
    const char *key, bool required, size_t max, struct place *place)
{
	const struct node *node = section_scalar(section, key, required);

	if (node == NULL)
		return NULL;
	if (place != NULL)
		*place = node->place;
	return conf_take_path(reader, section, key, node, max);
}

char *
conf_take_path(const struct conf_reader *reader, struct section *section,
    const char *key, const struct node *node, size_t max)
{
	char *path;

	if (node->text[0] == '/')
		path = xstrdup(node->text);
	else
		path = xasprintf("%s/%s", reader->directory, node->text);
	if (strlen(path) <= max)
		return path;
	problem_error(section->problems, node->place,
	    "`%s' is a path of more than %zu bytes", key, max);
	free(path);
	return NULL;
}

/*** Outputs. ***/

/* Whether there are headers of its kind for all that comes in is check.c's
 * question. */
static void
read_keep_source(struct section *section, struct destination_conf *to)
{
	const struct node *node = section_get(section, "keep_source");

	to->keep_source = section_bool(section, "keep_source", false);
	if (!to->keep_source || to->source.ss_family == AF_UNSPEC)
		return;
	problem_error(section->problems, node->place,
	    "`keep_source: true' sends from the sender's address and port: "
	    "leave `source_address' and `source_port' out");
	to->source = (struct sockaddr_storage){0};
}

/* What it cannot do is check_kernel.c's question. */
static void
read_path(struct section *section, struct destination_conf *to)
{
	static const char *const words[] = {"worker", "kernel", NULL};
	const struct node *path, *fallback = section_get(section, "fallback");

	to->kernel = section_word(section, "path", words, 0, &path) == 1;
	to->kernel_only = !section_bool(section, "fallback", true);
	if (fallback != NULL && !to->kernel)
		problem_error(section->problems, fallback->key_place,
		    "`fallback' is for `path: kernel'");
	to->kernel_only = to->kernel_only && to->kernel;
}

static void
read_relay(struct section *channel, struct channel_conf *to,
    struct channel_places *places)
{
	const struct node *list, *item;
	struct section section;
	size_t n;

	list = section_list(channel, "relay", OUTPUTS_MAX);
	if (list == NULL)
		return;
	to->relay = xcalloc(list->children + 1, sizeof(*to->relay));
	for (item = list->first; item != NULL; item = item->next) {
		if (!section_item(channel, "relay", item, &section))
			continue;
		n = to->relays++;
		conf_read_destination(&section, &to->relay[n],
		    &places->relay[n]);
		to->relay[n].one_by_one = conf_read_segmentation(&section);
		read_keep_source(&section, &to->relay[n]);
		read_path(&section, &to->relay[n]);
		section_close(&section);
	}
}

/* What a program in the kernel has relayed comes in marked. */
static void
expect_marks(struct channel_conf *channel)
{
	bool marked = false;
	size_t i;

	for (i = 0; i < channel->relays; i++)
		marked = marked || channel->relay[i].kernel;
	for (i = 0; i < channel->inputs; i++)
		channel->listen[i].marked = marked;
}

/*** The channel. ***/

static void
read_ring_size(struct section *channel, struct channel_conf *to)
{
	const struct node *node = section_get(channel, "ring_size");
	char next[NUMBER_TEXT_SIZE];
	uint64_t size;

	to->ring_auto = node != NULL && node->kind == NODE_SCALAR &&
	    strcmp(node->text, "auto") == 0;
	if (to->ring_auto) {
		to->ring_size = RING_SIZE_PRESET;
		return;
	}
	to->ring_size = section_number(channel, &ring_size_key, &node);
	for (size = RING_SIZE_MIN; size < to->ring_size; size *= 2)
		;
	if (size == to->ring_size)
		return;
	number_text(size, UNIT_BYTES, next);
	problem_error(channel->problems, node->place,
	    "`ring_size' has to be a power of two: %s is not, the next one "
	    "is %s", node->text, next);
	to->ring_size = size;
}

/* Whether its inputs are paths of one stream. */
static void
read_merge(struct section *channel, struct channel_conf *to)
{
	static const char *const words[] = {"none", "sequence", NULL};
	const struct node *merge, *window;
	const char *why = NULL;
	uint64_t ns;

	ns = section_number(channel, &merge_window_key, &window);
	if (section_word(channel, "merge", words, 0, &merge) == 0) {
		if (window != NULL && !channel->partial)
			problem_warning(channel->problems, window->key_place,
			    "`merge_window' does nothing without `merge: "
			    "sequence'");
		return;
	}
	if (channel->partial)
		return;
	to->merge_window_ns = ns;
	if (to->sender_sequence.type == SENDER_SEQUENCE_NONE)
		why = "needs `payload.sequence': where the sender's number is";
	else if (to->inputs < 2)
		why = "is for several inputs: `listen' has to be a list of "
		    "two or more";
	if (why != NULL)
		problem_error(channel->problems, merge->place,
		    "`merge: sequence' %s", why);
}

static void
read_channel_name(struct section *section, struct channel_conf *channel,
    struct place *place)
{
	const struct node *node;

	if (section->partial) {
		if ((node = section_get(section, "name")) != NULL)
			problem_error(section->problems, node->key_place,
			    "a `name' cannot be a default");
		return;
	}
	/* Names are written in lists as `- name: accel': no default. */
	if (!conf_read_name(section, channel->name, place))
		return;
	if (strcmp(channel->name, "mcrelayd") == 0)
		problem_error(section->problems, *place,
		    "a channel cannot be named `mcrelayd': its pid file "
		    "would be the daemon's");
}

void
conf_read_channel(const struct conf_reader *reader, struct section *section,
    struct channel_conf *channel, struct channel_places *places)
{
	places->name = section_place(section);
	channel->line = places->name.line;
	read_channel_name(section, channel, &places->name);
	conf_read_listen(section, channel, places);
	conf_read_payload(reader, section, channel);
	read_merge(section, channel);
	read_relay(section, channel, places);
	expect_marks(channel);
	read_ring_size(section, channel);
	conf_read_archive(reader, section, channel);
	conf_read_decimate(section, channel, places);
	channel->stale_after_ns = section_number(section, &stale_after_key,
	    NULL);
	channel->forward = section_bool(section, "forward", false);
	conf_read_hosts(section, channel);
	channel->run.cpu = conf_read_cpu(section);
	channel->run.priority = (uint32_t)section_number(section,
	    &priority_key, NULL);
	conf_read_io_uring(section, &channel->uring);
	conf_read_worker(section, channel, places);
	section_close(section);
}
