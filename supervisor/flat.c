/* SPDX-License-Identifier: ISC */
/*
 * From the configuration to what a worker reads.  Supervisor only.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/flat.h"

static void
fill_archive(struct channel_config *config, const struct channel_conf *channel)
{
	const struct archive_conf *archive = &channel->archive;

	if (!archive->enabled)
		return;
	config->archive.enabled = 1;
	config->archive.envelope = archive->envelope;
	config->archive.codec = archive->codec;
	config->archive.sync = archive->sync;
	config->archive.write = archive->write;
	config->archive.on_overrun = archive->on_overrun;
	config->archive.block_size = archive->block_size;
	config->archive.flush_interval_ns = archive->flush_interval_ns;
	config->archive.rotate_size = archive->rotate_size;
	config->archive.rotate_interval_ns = archive->rotate_interval_ns;
	config->archive.retain_age_ns = archive->retain_age_ns;
	config->archive.retain_size = archive->retain_size;
	config->archive.retain_files = archive->retain_files;
	config->archive.min_free = archive->min_free;
	snprintf(config->archive.directory, sizeof(config->archive.directory),
	    "%s/%s", archive->directory, channel->name);
}

static void
fill_ends(struct channel_config *config, const struct channel_conf *channel)
{
	size_t i;

	assert(channel->relays <= OUTPUTS_MAX);
	assert(channel->listen.sources <= SOURCES_MAX);
	config->outputs = (uint32_t)channel->relays;
	for (i = 0; i < channel->relays; i++)
		format_address((const void *)&channel->relay[i].address,
		    config->output[i].text);
	config->sources = (uint32_t)channel->listen.sources;
	memcpy(config->source, channel->listen.source,
	    sizeof(config->source));
	config->listen.address = channel->listen.address;
	memcpy(config->listen.interface, channel->listen.interface,
	    sizeof(config->listen.interface));
}

void
flat_fill(struct segment_spec *spec, const struct conf *conf,
    const struct channel_conf *channel)
{
	struct channel_config *config = &spec->config;

	memset(spec, 0, sizeof(*spec));
	memcpy(config->name, channel->name, sizeof(config->name));
	config->payload = channel->payload;
	config->sender_sequence = channel->sender_sequence;
	config->coalesce_ns = channel->listen.coalesce_ns;
	config->busy_poll_ns = channel->listen.busy_poll_ns;
	config->cpu = channel->cpu;
	config->archive_cpu = channel->archive.enabled ?
	    channel->archive.cpu : -1;
	config->priority = channel->priority;
	config->log_target = conf->log_target;
	config->log_level = conf->log_level;
	fill_ends(config, channel);
	fill_archive(config, channel);
	spec->schema = channel->schema_text;
	spec->program = channel->program;
	spec->program_size = channel->program_size;
	spec->ring_size = channel->ring_size;
}

bool
flat_same(const struct segment *segment, const struct segment_spec *spec)
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
	    segment->program_size != spec->program_size)
		return false;
	if ((schema == NULL) != (spec->schema == NULL) ||
	    (schema != NULL && strcmp(schema, spec->schema) != 0))
		return false;
	return spec->program_size == 0 ||
	    memcmp(segment->program, spec->program, spec->program_size) == 0;
}

bool
flat_drains(const struct segment *segment, const struct segment_spec *spec)
{
	const struct channel_config *a = segment->config, *b = &spec->config;

	return a->outputs == b->outputs &&
	    memcmp(a->output, b->output, sizeof(a->output)) == 0 &&
	    a->archive.enabled == b->archive.enabled &&
	    memcmp(a->archive.directory, b->archive.directory,
	    sizeof(a->archive.directory)) == 0;
}

void
flat_listen(const struct segment *segment, struct listen_conf *listen)
{
	const struct channel_config *config = segment->config;

	memset(listen, 0, sizeof(*listen));
	listen->address = config->listen.address;
	memcpy(listen->interface, config->listen.interface,
	    sizeof(listen->interface) - 1);
	listen->sources = MIN_OF((size_t)config->sources, (size_t)SOURCES_MAX);
	memcpy(listen->source, config->source, sizeof(listen->source));
}
