/* SPDX-License-Identifier: ISC */
/*
 * From the configuration to what a worker reads.  Supervisor only.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "common/util.h"
#include "supervisor/segment_spec.h"

static void
fill_archive(struct channel_config *config, const struct channel_conf *channel)
{
	config->archive = channel->archive;
	if (channel->archive.enabled)
		(void)snprintf(config->archive.directory,
		    sizeof(config->archive.directory), "%.*s/%s",
		    ARCHIVE_DIRECTORY_SIZE - CHANNEL_NAME_MAX - 2,
		    channel->archive.directory, channel->name);
}

/* Where it sends to, as far as its configuration says. */
static uint32_t
identity_of(const struct destination_conf *to)
{
	char text[ADDRESS_TEXT_SIZE + IF_NAMESIZE + 1];
	char address[ADDRESS_TEXT_SIZE];

	(void)format_address((const void *)&to->address, address);
	(void)snprintf(text, sizeof(text), "%s%%%s", address, to->interface);
	return hash_text32(text);
}

static void
fill_outputs(struct channel_config *config, const struct channel_conf *channel)
{
	size_t i;

	assert(channel->relays <= OUTPUTS_MAX);
	config->outputs = (uint32_t)channel->relays;
	for (i = 0; i < channel->relays; i++) {
		format_address((const void *)&channel->relay[i].address,
		    config->output[i].text);
		config->output[i].way =
		    (channel->relay[i].one_by_one ? OUTPUT_ONE_BY_ONE : 0) |
		    (channel->relay[i].keep_source ? OUTPUT_KEEP_SOURCE : 0) |
		    (channel->relay[i].kernel ? OUTPUT_KERNEL : 0);
		config->output[i].slot = (uint32_t)i;
		config->output[i].identity = identity_of(&channel->relay[i]);
	}
}

static int
slot_of(const struct channel_config *config, uint32_t identity)
{
	uint32_t i;

	for (i = 0; i < MIN_OF(config->outputs, (uint32_t)OUTPUTS_MAX); i++)
		if (config->output[i].identity == identity)
			return (int)(config->output[i].slot % OUTPUTS_MAX);
	return -1;
}

int
segment_spec_slot(const struct segment *segment,
    const struct destination_conf *to)
{
	return slot_of(segment->config, identity_of(to));
}

/* One that nobody has had, else one that nobody keeps. */
static uint32_t
free_slot(const int *kept, uint32_t outputs, uint32_t *used)
{
	uint32_t slot, i;

	if (*used == (1U << OUTPUTS_MAX) - 1)
		for (i = *used = 0; i < outputs; i++)
			if (kept[i] != -1)
				*used |= 1U << kept[i];
	for (slot = 0; slot < OUTPUTS_MAX - 1; slot++)
		if ((*used & 1U << slot) == 0)
			break;
	*used |= 1U << slot;
	return slot;
}

/* Marks of one that is gone may be on their way still: so its slot is the last
 * that another one gets. */
void
segment_spec_keep_slots(struct segment_spec *spec,
    const struct segment *before)
{
	struct channel_config *config = &spec->config;
	uint32_t used = 0, i, slot;
	int kept[OUTPUTS_MAX];

	for (i = 0; i < MIN_OF(before->config->outputs,
	    (uint32_t)OUTPUTS_MAX); i++)
		used |= 1U << before->config->output[i].slot % OUTPUTS_MAX;
	for (i = 0; i < config->outputs; i++)
		kept[i] = slot_of(before->config, config->output[i].identity);
	for (i = 0; i < config->outputs; i++) {
		slot = (uint32_t)kept[i];
		if (kept[i] == -1)
			slot = free_slot(kept, config->outputs, &used);
		config->output[i].slot = slot;
	}
}

void
segment_spec_fill(struct segment_spec *spec, const struct conf *conf,
    const struct channel_conf *channel)
{
	struct channel_config *config = &spec->config;

	memset(spec, 0, sizeof(*spec));
	memcpy(config->name, channel->name, sizeof(config->name));
	config->payload = channel->payload;
	config->sender_sequence = channel->sender_sequence;
	config->merge_window_ns = channel->merge_window_ns;
	config->run = channel->run;
	config->uring = channel->uring;
	config->log_target = conf->log_target;
	config->log_level = conf->log_level;
	fill_outputs(config, channel);
	fill_archive(config, channel);
	spec->input = channel->listen;
	spec->inputs = (uint32_t)channel->inputs;
	spec->schema = channel->schema_text;
	spec->program = channel->program;
	spec->program_size = channel->program_size;
	spec->ring_size = channel->ring_size;
}

bool
segment_spec_same(const struct segment *segment,
    const struct segment_spec *spec)
{
	struct channel_config ours = *segment->config;
	const char *schema = segment->schema;

	memcpy(ours.slot, spec->config.slot, sizeof(ours.slot));
	memcpy(ours.slot_id, spec->config.slot_id, sizeof(ours.slot_id));
	ours.log_target = spec->config.log_target;
	ours.log_level = spec->config.log_level;
	ours.counted_from = spec->config.counted_from;
	if (memcmp(&ours, &spec->config, sizeof(ours)) != 0 ||
	    segment->ring.size != spec->ring_size ||
	    segment->program_size != spec->program_size ||
	    segment->inputs != spec->inputs || memcmp(segment->input,
	    spec->input, spec->inputs * sizeof(*spec->input)) != 0)
		return false;
	if ((schema == NULL) != (spec->schema == NULL) ||
	    (schema != NULL && strcmp(schema, spec->schema) != 0))
		return false;
	return spec->program_size == 0 ||
	    memcmp(segment->program, spec->program, spec->program_size) == 0;
}

bool
segment_spec_drains(const struct segment *segment,
    const struct segment_spec *spec)
{
	const struct channel_config *a = segment->config, *b = &spec->config;

	return a->outputs == b->outputs &&
	    memcmp(a->output, b->output, sizeof(a->output)) == 0 &&
	    a->archive.enabled == b->archive.enabled &&
	    memcmp(a->archive.directory, b->archive.directory,
	    sizeof(a->archive.directory)) == 0;
}

struct listen_config
segment_spec_listen(const struct segment *segment, uint32_t i)
{
	struct listen_config listen = segment->input[i];

	listen.interface[sizeof(listen.interface) - 1] = '\0';
	listen.sources = MIN_OF(listen.sources, (uint32_t)SOURCES_MAX);
	return listen;
}
