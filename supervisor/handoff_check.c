/* SPDX-License-Identifier: ISC */
/*
 * Whether a handoff could be gone on with: asked by the old image of the new
 * one, which changes nothing.  Supervisor only.
 */
#include <stdlib.h>
#include <string.h>

#include "common/wake.h"
#include "supervisor/account.h"
#include "supervisor/handoff.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"

/* A worker may write anything to its segment: one that does is no reason to
 * deny the others an upgrade. */
static void
report_lost(const struct inherited *each, const char *why, bool damaged,
    struct conf_problems *problems)
{
	if (each->worker.pid == 0)
		return;
	if (damaged)
		report_warning(problems, "channel %s: its worker has damaged "
		    "its memory, which is lost with what it holds: %s",
		    each->name, why);
	else
		report_error(problems, "channel %s: its worker's "
		    "memory cannot be taken over: %s", each->name, why);
}

/* Of another layout: its own program says what it has counted. */
static bool
has_account(struct image *image, const struct inherited *each,
    const char **why, bool *damaged)
{
	enum account_answer answer;
	json_t *account;

	/* There may be a thousand. */
	if (image->answers)
		return true;
	image->unserved = true;
	answer = account_ask(image, &each->user, each->segment, &account);
	json_decref(account);
	*why = account_answer_text(answer);
	*damaged = answer == ACCOUNT_DAMAGED;
	image->answers = answer == ACCOUNT_GIVEN;
	return image->answers;
}

/* Whether its segment can be gone on with; else *why, and whether that is for
 * what is in there. */
static bool
is_usable(struct inheritance *inheritance, const struct inherited *each,
    const char **why, bool *damaged)
{
	struct images *images = &inheritance->images;
	struct image *image;
	struct segment segment;
	uint64_t layout;

	/* It has a layout that we can do with, or had. */
	*damaged = inheritance->layout == segment_layout() ||
	    images_find(images, inheritance->layout) != NULL;
	*why = "it was not handed over";
	if (each->segment == -1)
		return false;
	layout = segment_layout_of(each->segment);
	image = layout == segment_layout() ? NULL :
	    images_find(images, layout);
	if (image != NULL)
		return has_account(image, each, why, damaged);
	if (segment_attach(&segment, each->segment, SEGMENT_DECIMATOR, why) ==
	    -1)
		return false;
	segment_close(&segment);
	return true;
}

static void
check_parts(struct inherited *each, const struct channel_conf *conf,
    struct conf_problems *problems)
{
	struct parts parts;

	/* What cannot be opened now is waited for; but that there are enough
	 * descriptors for it must be known before. */
	parts_init(&parts);
	handoff_take_parts(&parts, conf, each);
	/* In the place of a directory, which would be made. */
	if (parts.archive == -1 && conf->archive.enabled)
		parts.archive = wake_open();
	parts_open(&parts, conf, PART_WORKER | PART_STREAMS, problems);
	parts_close(&parts, PART_ALL);
}

static void
check_channel(struct inheritance *inheritance, struct inherited *each,
    const struct channel_conf *conf, struct conf_problems *problems)
{
	const char *why;
	bool damaged;

	if (!is_usable(inheritance, each, &why, &damaged))
		report_lost(each, why, damaged, problems);
	else if (conf != NULL)
		check_parts(each, conf, problems);
}

static void
check_users(const struct inheritance *inheritance, const struct conf *conf,
    struct conf_problems *problems)
{
	char *users = conf_users_text(conf);

	if (inheritance->user != NULL && strcmp(inheritance->user, users) != 0)
		report_error(problems, "%s: user cannot be changed by an "
		    "upgrade: restart mcrelayd", conf->file);
	free(users);
}

void
handoff_check(struct supervisor *supervisor, const struct conf *conf,
    struct conf_problems *problems)
{
	struct inheritance *inheritance = supervisor->inheritance;
	struct inherited *each;
	size_t i;

	if (strcmp(inheritance->run_dir, conf->run_dir) != 0)
		report_error(problems, "%s: run_dir cannot be changed from %s "
		    "to %s by an upgrade: restart mcrelayd", conf->file,
		    inheritance->run_dir, conf->run_dir);
	else
		rundir_check(conf->run_dir, problems);
	check_users(inheritance, conf, problems);
	if (inheritance->lock == -1 || inheritance->control == -1)
		report_error(problems, "the control socket or the lock was "
		    "not handed over");
	for (i = 0; i < inheritance->channels; i++) {
		each = &inheritance->channel[i];
		check_channel(inheritance, each, conf_channel(conf,
		    each->name), problems);
	}
}
