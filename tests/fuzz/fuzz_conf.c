/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing the reader of the configuration.  The input is the file; beside it is
 * a schema, s.avsc.
 *
 * There is a configuration or an error that begins with the file's name, and
 * twice the same; of what is in error one in eight is read twice.  What is
 * accepted is within its bounds, asks for no change when it is read again, and
 * can be written to a segment.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf.h"
#include "supervisor/conf/conf_priv.h"
#include "supervisor/segment_spec.h"
#include "tests/fuzz/scratch.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema[] = "{\"type\":\"record\",\"name\":\"S\",\"fields\":["
    "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":"
    "\"timestamp-micros\"}},{\"name\":\"x\",\"type\":\"double\"},"
    "{\"name\":\"n\",\"type\":\"int\"}]}";

static void
check_problems(const char *file, const struct conf *conf,
    const struct conf_problems *problems)
{
	size_t i, errors = 0;

	for (i = 0; i < problems->count; i++) {
		errors += !problems->list[i].warning;
		assert(strncmp(problems->list[i].text, file,
		    strlen(file)) == 0);
		assert(problems->list[i].text[strlen(file)] == ':');
	}
	assert(errors == problems->errors);
	assert((conf == NULL) == (errors > 0));
}

static void
check_same(const struct conf_problems *a, const struct conf_problems *b)
{
	size_t i;

	assert(a->count == b->count);
	for (i = 0; i < a->count; i++)
		assert(strcmp(a->list[i].text, b->list[i].text) == 0);
}

static void
check_channel(const struct conf *conf, const struct channel_conf *channel)
{
	struct segment_spec spec;

	assert(strlen(channel->name) >= 1 &&
	    strlen(channel->name) <= CHANNEL_NAME_MAX);
	assert(conf_channel(conf, channel->name) == channel);
	assert(channel->relays <= OUTPUTS_MAX);
	assert(channel->decimates <= STREAMS_MAX);
	assert(channel->ring_size >= RING_SIZE_MIN &&
	    channel->ring_size <= RING_SIZE_MAX);
	assert((channel->ring_size & (channel->ring_size - 1)) == 0);
	segment_spec_fill(&spec, conf, channel);
	assert(spec.config.outputs == channel->relays);
	assert(spec.ring_size == channel->ring_size);
	assert(segment_size(&spec) > channel->ring_size);
	assert((spec.schema == NULL) == (spec.program == NULL));
}

static void
check_conf(const struct conf *conf, const struct conf *again)
{
	size_t i;

	assert(conf->channels > 0 && conf->channels == again->channels);
	assert(conf->decimators <= DECIMATORS_MAX);
	assert(conf->run_dir[0] == '/' &&
	    strlen(conf->run_dir) <= RUN_DIR_MAX);
	for (i = 0; i < conf->channels; i++) {
		check_channel(conf, &conf->channel[i]);
		assert(conf_compare(conf, &conf->channel[i], again,
		    &again->channel[i]) == CHANGE_NONE);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_problems problems = {0}, others = {0};
	const char *file = scratch_path("c.yaml");
	struct conf *conf, *again;

	scratch_put("s.avsc", schema, sizeof(schema) - 1);
	scratch_put("c.yaml", data, size);
	conf = conf_load(file, &problems);
	check_problems(file, conf, &problems);
	if (conf != NULL || size % 8 == 0) {
		again = conf_load(file, &others);
		check_same(&problems, &others);
		if (conf != NULL)
			check_conf(conf, again);
		conf_free(again);
	}
	conf_free(conf);
	conf_problems_free(&problems);
	conf_problems_free(&others);
	return 0;
}
