/* SPDX-License-Identifier: ISC */
/*
 * The configuration file: its top level, and putting the parts together.
 * Supervisor only.  Changes nothing in the world: `mcrelayd -n' calls the
 * same code beside a running daemon.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/conf/node.h"
#include "supervisor/conf/conf_priv.h"
#include "supervisor/far_file.h"
#include "supervisor/names.h"

static const char *const target_words[] = {
	[LOG_TARGET_STDERR] = "stderr",
	[LOG_TARGET_SYSLOG] = "syslog",
	NULL,
};

static const char *const level_words[] = {
	"error", "warning", "info", "debug", NULL,
};
static const int level_priorities[] = {
	LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG,
};
#define LEVEL_PRESET	2

static const struct number_key decimators_key = {
	.name = "decimators", .max = DECIMATORS_MAX, .preset = 1,
};

static const struct number_key memory_key = {
	.name = "memory", .unit = UNIT_BYTES, .min = 1 << 20,
	.max = UINT64_C(1) << 50, .zero = true,
};

/*** The top level. ***/

static void
read_log(struct section *top, struct conf *conf)
{
	struct section section;

	(void)section_enter(top, "log", &section);
	conf->log_target = (enum log_target)section_word(&section, "to",
	    target_words, LOG_TARGET_SYSLOG, NULL);
	conf->log_level = level_priorities[section_word(&section, "level",
	    level_words, LEVEL_PRESET, NULL)];
	section_close(&section);
}

/*
 * Reads the defaults as if they were a channel, so that what is wrong with
 * them shows even when no channel uses them.
 */
static const struct node *
read_defaults(const struct conf_reader *reader, struct section *top)
{
	struct channel_places *places;
	struct channel_conf channel = { 0 };
	struct section section;

	if (!section_enter(top, "defaults", &section))
		return NULL;
	section.partial = true;
	places = xcalloc(1, sizeof(*places));
	conf_read_channel(reader, &section, &channel, places);
	conf_clear_channel(&channel);
	free(places);
	return section.own;
}

static void
read_channels(const struct conf_reader *reader, struct section *top,
    const struct node *defaults, struct conf *conf)
{
	const struct node *list, *item;
	struct channel_places *places;
	struct section section;
	size_t n;

	list = section_list(top, "channels", CHANNELS_MAX);
	if (list == NULL) {
		section_missing(top, "channels");
		return;
	}
	if (list->children == 0)
		problem_error(top->problems, list->place,
		    "`channels' is empty");
	places = xcalloc(list->children + 1, sizeof(*places));
	conf->channel = xcalloc(list->children + 1, sizeof(*conf->channel));
	for (item = list->first; item != NULL; item = item->next) {
		if (!section_item(top, "channels", item, &section))
			continue;
		if (problem_enough(top->problems))
			break;
		section.fallback = defaults;
		n = conf->channels++;
		conf_read_channel(reader, &section, &conf->channel[n],
		    &places[n]);
	}
	conf_check_names(conf, places, top->problems);
	conf_check_workers(conf, places, top->problems);
	conf_take_hosts(conf, places, list->place, top->problems);
	conf_check(conf, places, top->problems);
	free(places);
	if (top->problems->errors == 0)
		conf_split_shards(conf, list->place, top->problems);
	if (top->problems->errors == 0)
		conf_add_stream_archives(conf, list->place, top->problems);
}

static void
read_top(const struct conf_reader *reader, const struct node *root,
    struct conf *conf)
{
	struct section top;
	const struct node *defaults;
	struct place user;

	if (root->kind != NODE_MAPPING) {
		if (root->kind == NODE_SCALAR && root->text[0] == '\0')
			problem_error(reader->problems, root->place,
			    "there is nothing in this file");
		else if (root->kind != NODE_BAD)
			problem_error(reader->problems, root->place,
			    "the file has to be a mapping, not %s",
			    node_kind_name(root));
		return;
	}
	section_init(&top, reader->problems, NULL, root);
	user = conf_read_user(&top, conf);
	conf->run_dir = conf_read_path(reader, &top, "run_dir", false,
	    RUN_DIR_MAX, NULL);
	if (conf->run_dir == NULL)
		conf->run_dir = xstrdup(RUNSTATEDIR "/mcrelay");
	read_log(&top, conf);
	conf->decimators = (unsigned)section_number(&top, &decimators_key,
	    NULL);
	conf->memory = section_number(&top, &memory_key, NULL);
	conf_read_web(reader, &top, &conf->web);
	conf_read_host(&top, conf);
	conf_read_forward(reader, &top, conf);
	conf_read_fleet(&top, conf);
	conf_read_workers(&top, conf);
	defaults = read_defaults(reader, &top);
	read_channels(reader, &top, defaults, conf);
	section_close(&top);
	if (reader->problems->errors == 0)
		conf_find_users(conf, user, reader->problems);
}

/* The directory of a file, absolute; to be freed.  NULL with errno. */
static char *
directory_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	int length = slash != NULL ? (int)(slash - file) : 0;
	char *here, *directory;

	if (file[0] == '/')
		return xasprintf("%.*s", length, file);
	if ((here = getcwd(NULL, 0)) == NULL || slash == NULL)
		return here;
	directory = xasprintf("%s/%.*s", here, length, file);
	free(here);
	return directory;
}

/*** The interface. ***/

struct conf *
conf_load(const char *file, struct conf_problems *problems)
{
	struct problem_list list = { 0 };
	struct conf_reader reader = { .problems = &list };
	struct conf *conf = xcalloc(1, sizeof(*conf));
	struct node *root;

	far_file_begin();
	conf->file = xstrdup(file);
	if ((reader.directory = directory_of(file)) == NULL)
		problem_error(&list, (struct place){ 0, 0 },
		    "the current directory is unknown: %s", strerror(errno));
	else if ((root = node_load(file, &list)) != NULL) {
		read_top(&reader, root, conf);
		node_free(root);
		(void)names_end();
	}
	free(reader.directory);
	problem_publish(&list, file, problems);
	if (problems->errors == 0)
		return conf;
	conf_free(conf);
	return NULL;
}
