/* SPDX-License-Identifier: ISC */
/*
 * What the parts of the configuration reader share: one reads the sections
 * of a channel, one looks at channels together.  Supervisor only, for
 * this directory.
 */
#ifndef MCRELAY_CONF_PRIV_H
#define MCRELAY_CONF_PRIV_H

#include "supervisor/conf/conf.h"
#include "supervisor/conf/value.h"

#define CHANNELS_MAX		1000
/* The worker's copy has room for the directory and the channel's name. */
#define DIRECTORY_MAX		900
/* A Unix socket's path is at most 107 bytes: leave room for its name. */
#define RUN_DIR_MAX		90

/* Where the parts of a channel stand, for what only shows later. */
struct output_places {
	struct place	item;
	struct place	interface;
	struct place	source;
};

struct input_places {
	struct place		listen;
	struct place		interface;
	struct place		receive_buffer;
	struct place		path;
};

struct channel_places {
	struct place		name;
	struct place		worker;
	struct place		shards;
	struct input_places	input[INPUTS_MAX];
	struct output_places	relay[OUTPUTS_MAX];
	struct output_places	stream[STREAMS_MAX];
	struct place		stream_name[STREAMS_MAX];
};

struct conf_reader {
	struct problem_list	*problems;
	char			*directory;	/* of the file, absolute */
};

/*
 * Reads a path: relative ones are relative to the file.  To be freed; NULL
 * when absent or wrong.
 */
char	*conf_read_path(const struct conf_reader *reader,
	    struct section *section, const char *key, bool required,
	    size_t max, struct place *place);
/* The same of a node that was found. */
char	*conf_take_path(const struct conf_reader *reader,
	    struct section *section, const char *key,
	    const struct node *node, size_t max);
/* A name by the rule for channels and streams; false when absent or wrong. */
bool	conf_read_name(struct section *section,
	    char name[static CHANNEL_NAME_MAX + 1], struct place *place);

/*
 * Reads a channel, or `defaults' (section->partial).  What is wrong is left
 * out of `channel' (an address has the family AF_UNSPEC then, a port is 0)
 * and reported; so the channel can be freed and checked in any case.
 */
void	conf_read_channel(const struct conf_reader *reader,
	    struct section *section, struct channel_conf *channel,
	    struct channel_places *places);

/* The parts of a channel that have files of their own. */
void	conf_read_listen(struct section *channel, struct channel_conf *conf,
	    struct channel_places *places);
void	conf_read_destination(struct section *section,
	    struct destination_conf *to, struct output_places *places);
/* Whether runs of datagrams are to be left alone. */
bool	conf_read_segmentation(struct section *section);
void	conf_read_payload(const struct conf_reader *reader,
	    struct section *section, struct channel_conf *channel);
/* The key `cpu', -1 when it is not there. */
int	conf_read_cpu(struct section *section);

/* `io_uring' of a channel. */
void	conf_read_io_uring(struct section *channel, struct uring_config *uring)
	    ATTR_NONNULL;
void	conf_read_archive(const struct conf_reader *reader,
	    struct section *section, struct channel_conf *conf);
void	conf_read_decimate(struct section *channel, struct channel_conf *to,
	    struct channel_places *places);
/*
 * Reads a stream's `fields' and `only' and makes its plan (plan.c).  The
 * stream's shape and method are known; `whole': so is the schema, unless it
 * was wrong.
 */
void	conf_read_plan(struct section *section, struct stream_conf *stream,
	    const struct channel_conf *channel, bool whole);

/* The methods that can be chosen for this (FOR_* of common/decimate.h). */
struct method_words {
	const char		*word[METHODS + 1];	/* ends with NULL */
	enum decimate_method	 method[METHODS];
};
void	conf_method_words(unsigned where, struct method_words *words)
	    ATTR_NONNULL;
/*
 * Reads `range', which `method' needs or must not have.  Returns 0 when there
 * is none, or it is wrong, which is reported there, or where the method stands.
 */
double	conf_read_range(struct section *section, enum decimate_method method,
	    struct place place) ATTR_NONNULL;

/* `workers' of the top level, `worker' of a channel, and both together. */
void	conf_read_workers(struct section *top, struct conf *conf) ATTR_NONNULL;
void	conf_read_worker(struct section *section, struct channel_conf *channel,
	    struct channel_places *places) ATTR_NONNULL;
void	conf_check_workers(struct conf *conf,
	    const struct channel_places *places, struct problem_list *problems)
	    ATTR_NONNULL;
/* `web' of the top level. */
void	conf_read_web(const struct conf_reader *reader, struct section *top,
	    struct web_conf *web) ATTR_NONNULL;
/* What a NATS server takes as one word of a subject. */
bool	conf_is_token(const char *text) ATTR_NONNULL;
/* `host' of the top level. */
void	conf_read_host(struct section *top, struct conf *conf) ATTR_NONNULL;
/* `hosts' of a channel. */
void	conf_read_hosts(struct section *section, struct channel_conf *channel)
	    ATTR_NONNULL;
/* Leaves the channels of others out, in `places', too. */
void	conf_take_hosts(struct conf *conf, struct channel_places *places,
	    struct place place, struct problem_list *problems) ATTR_NONNULL;
/* `forward' and `forwarders' of the top level; `host' is known. */
void	conf_read_forward(const struct conf_reader *reader,
	    struct section *top, struct conf *conf) ATTR_NONNULL;
void	conf_clear_forward(struct forward_conf *forward) ATTR_NONNULL;
void	conf_check_forward(const struct conf *conf,
	    const struct channel_places *places,
	    struct problem_list *problems) ATTR_NONNULL;
/* Reads `user', and returns where it stands. */
struct place	conf_read_user(struct section *top, struct conf *conf)
		    ATTR_NONNULL;
/* When all channels are known: looks up whom they run as, if that is by name,
 * or whether there are user ids for all. */
void	conf_find_users(struct conf *conf, struct place place,
	    struct problem_list *problems) ATTR_NONNULL;

/* What `shards' cannot be had with. */
void	conf_check_shards(const struct conf *conf,
	    const struct channel_places *places,
	    struct problem_list *problems) ATTR_NONNULL;
/* Makes a channel of each shard, in a configuration that is right. */
void	conf_split_shards(struct conf *conf, struct place place,
	    struct problem_list *problems) ATTR_NONNULL;
/* Adds the channels that archive streams, to a configuration that is right. */
void	conf_add_stream_archives(struct conf *conf, struct place place,
	    struct problem_list *problems) ATTR_NONNULL;

/* Whether all channels of the file, also those of other hosts, have names of
 * their own. */
void	conf_check_names(const struct conf *conf,
	    const struct channel_places *places,
	    struct problem_list *problems) ATTR_NONNULL;
/* `fleet' of the top level; `forward' is known. */
void	conf_read_fleet(struct section *top, struct conf *conf) ATTR_NONNULL;
void	conf_check_fleet(const struct conf *conf,
	    struct problem_list *problems) ATTR_NONNULL;
/* Looks at all channels of this host together. */
void	conf_check(const struct conf *conf,
	    const struct channel_places *places,
	    struct problem_list *problems) ATTR_NONNULL;

#endif /* MCRELAY_CONF_PRIV_H */
