/* SPDX-License-Identifier: ISC */
/*
 * The configuration, checked.  Supervisor only.
 *
 * conf_load() reads a file into this form or says everything that is wrong
 * with it, not only the first thing.  A struct conf is immutable after that.
 * Times are in nanoseconds, sizes in bytes.  0 means "never" or "no limit"
 * where the manual page says so.
 */
#ifndef MCRELAY_CONF_H
#define MCRELAY_CONF_H

#include <sys/socket.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/compiler.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/message.h"
#include "common/segment.h"
#include "common/web_config.h"
#include "supervisor/privdrop.h"

/* More processes than that have no processors to run on. */
#define DECIMATORS_MAX	64U

/* Of a file for mcrelay-web, with its NUL. */
#define WEB_PATH_SIZE	1024

/* Where datagrams go: a relay output or a decimated stream. */
struct destination_conf {
	struct sockaddr_storage	 address;	/* with the port */
	struct sockaddr_storage	 source;	/* likewise; AF_UNSPEC: the
						 * kernel's choice */
	char			 interface[IF_NAMESIZE]; /* "": routing's */
	int32_t			 ttl;		/* preset: group 1, else 64 */
	int32_t			 loop;		/* local listeners hear it */
	int32_t			 dscp;		/* 0 to 63 */
	int32_t			 broadcast;	/* may be one */
	int32_t			 one_by_one;	/* no runs in one message */
	int32_t			 keep_source;	/* the sender's own */
	int32_t			 kernel;	/* by a program there */
	int32_t			 kernel_only;	/* or not at all */
};

/* Compared byte by byte up to `plan': without padding, zero what is unused. */
struct stream_conf {
	char			 name[CHANNEL_NAME_MAX + 1];
	struct destination_conf	 to;
	double			 range;		/* the method's, or 0 */
	uint64_t		 every;		/* datums; 0: by time */
	uint64_t		 interval_ns;	/* 0: by datums */
	uint32_t		 method;	/* enum decimate_method */
	uint32_t		 clock;		/* enum stream_clock */
	uint32_t		 pack;
	uint32_t		 archive;	/* by a channel of its own */
	/* Its own program and schema; NULL: those of the channel. */
	void			*plan;
	size_t			 plan_size;
	char			*schema_text;
};
_Static_assert(offsetof(struct stream_conf, range) ==
    CHANNEL_NAME_MAX + 1 + 2 * sizeof(struct sockaddr_storage) + IF_NAMESIZE +
    8 * sizeof(int32_t) && offsetof(struct stream_conf, plan) ==
    offsetof(struct stream_conf, range) + 3 * sizeof(uint64_t) +
    4 * sizeof(uint32_t), "no padding");

/* More would only wait for the same disks. */
#define ARCHIVE_THREADS_MAX	64U

/* A worker that channels share. */
struct worker_conf {
	char			 name[CHANNEL_NAME_MAX + 1];
	unsigned		 line;		/* where it begins */
	bool			 own_threads;	/* a relay thread for each */
	uint32_t		 archive_threads;
};

struct channel_conf {
	char			 name[CHANNEL_NAME_MAX + 1];
	/* The worker that it shares; "": one of its own.  Whether it has a
	 * relay thread of its own there, and how many archive for all. */
	char			 worker[CHANNEL_NAME_MAX + 1];
	bool			 own_thread;
	uint32_t		 archive_threads;
	unsigned		 line;		/* where it begins */
	/* Whom its worker runs as, and whether nobody else does.  Of a range
	 * of user ids it is users.c that chooses. */
	struct privdrop		 user;
	bool			 own_user;
	/* Archives a decimated stream: its input comes from the decimator
	 * alone, and it has no address that anybody chose. */
	bool			 archives_stream;
	struct listen_config	*listen;	/* inputs of them */
	size_t			 inputs;	/* at least one */
	/* One of so many that take turns at one address by who sends, and
	 * which; 0: it has it alone. */
	uint32_t		 shards;
	uint32_t		 shard;
	uint64_t		 merge_window_ns;	/* 0: not merged */
	struct run_config	 run;
	struct uring_config	 uring;
	enum payload_format	 payload;
	char			*schema_file;	/* absolute; NULL: raw */
	char			**schema_part;	/* files with names that it
						 * uses, absolute */
	size_t			 schema_parts;
	char			*schema_text;	/* its content, with what it
						 * uses of these in it */
	struct sample_config	 samples;	/* raw; channels 0: none */
	void			*program;	/* compiled, malloc'ed */
	size_t			 program_size;
	struct sender_sequence_config	 sender_sequence;
	struct destination_conf	*relay;
	size_t			 relays;
	struct archive_config	 archive;
	char			*require_mount;	/* absolute; NULL: none */
	struct stream_conf	*decimate;
	size_t			 decimates;
	uint64_t		 ring_size;	/* a power of two */
	bool			 ring_auto;	/* rings.h chooses it */
	uint64_t		 stale_after_ns;	/* 0: never */
	bool			 forward;	/* its archive */
	/* Those that have it, the first of them first; 0: all. */
	unsigned		 hosts;
	bool			 leased;	/* they take turns */
	bool			 cold;		/* others do not receive */
	char			**host;
};

/* mcrelay-web; all zero: none.  Compared byte by byte: without padding, zero
 * what is unused. */
struct web_conf {
	struct sockaddr_storage	 address;	/* with the port; AF_UNIX: a
						 * socket's path */
	char			 file[WEB_TEXTS][WEB_PATH_SIZE]; /* absolute;
						 * "": none */
	struct source_prefix	 allow[WEB_ALLOW_MAX];
	uint32_t		 allows;	/* 0: everybody */
	uint32_t		 reserved;	/* 0 */
};
_Static_assert(offsetof(struct web_conf, allow) ==
    sizeof(struct sockaddr_storage) + (size_t)WEB_TEXTS * WEB_PATH_SIZE &&
    sizeof(struct web_conf) ==
    offsetof(struct web_conf, reserved) + sizeof(uint32_t), "no padding");

/* Of a channel; more would be more than its senders have processors. */
#define SHARDS_MAX	16U

/* Of a channel that says nothing, and of one that archives a stream. */
#define RING_SIZE_PRESET	(UINT64_C(8) << 20)
#define STREAM_ARCHIVE_RING_SIZE	(UINT64_C(1) << 20)
/* A block is gathered in the ring, and must be written long before the writer
 * comes round again: so many go into one. */
#define RING_BLOCKS		4U

#define FORWARDERS_MAX		16U
#define FORWARD_SERVERS_MAX	16U
/* Of a file for mcrelay-forwarder. */
#define FORWARD_PATH_MAX	1023U

/* Where archives are forwarded to.  All texts are malloc'ed; NULL: none. */
struct forward_conf {
	bool			 wanted;
	unsigned		 processes;
	unsigned		 servers;
	char			*server[FORWARD_SERVERS_MAX];
	char			*credentials;	/* files, absolute */
	bool			 tls;
	char			*ca;
	char			*certificate;
	char			*key;
	char			*stream;	/* with {host}, {channel} */
	char			*subject;
	unsigned		 replicas;
	bool			 live;		/* decimated streams, too */
	uint64_t		 age_ns;	/* limits; 0: none */
	uint64_t		 size;
	uint64_t		 messages;
};

struct conf {
	char			*file;		/* as given */
	char			*host;		/* what this one is called */
	/* A name; with %c in it each channel has a user of its own.  NULL: a
	 * range of user ids, or stay who we are. */
	char			*user;
	/* The decimators' user id, and how many more there are for channels,
	 * before mcrelay-web's; 0: no range. */
	uint32_t		 user_base;
	uint32_t		 user_count;
	struct privdrop		 decimator_user;
	struct privdrop		 web_user;
	char			*run_dir;	/* absolute */
	enum log_target		 log_target;
	int			 log_level;	/* syslog priority */
	unsigned		 decimators;	/* 0 to DECIMATORS_MAX */
	uint64_t		 memory;	/* bytes; 0: no bound */
	struct web_conf		 web;
	struct forward_conf	 forward;
	uint64_t		 lease_ns;	/* 0: no fleet */
	char			*fleet_bucket;
	struct worker_conf	*worker;	/* that channels share */
	size_t			 workers;
	/* This host's, as in the file, then those that archive streams. */
	struct channel_conf	*channel;
	size_t			 channels;
};

/*
 * Problems, in the order of the file: "FILE:LINE:COL: message", or
 * "FILE: message".  A problem is an error unless `warning'.
 */
struct conf_problem {
	char	*text;
	bool	 warning;
};

struct conf_problems {
	struct conf_problem	*list;
	size_t			 count;
	size_t			 errors;	/* of these, not warnings */
};

/*
 * Reads and checks `file'.  NULL when there were errors.  `problems' (empty
 * at the call) is filled in either case; conf_problems_free() it.
 */
struct conf	*conf_load(const char *file, struct conf_problems *problems)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;
void	conf_free(struct conf *conf);
/* Frees what one channel has, not the struct, which is empty then. */
void	conf_clear_channel(struct channel_conf *channel) ATTR_NONNULL;
void	conf_problems_free(struct conf_problems *problems);

/* What a difference between two channels of the same name asks for. */
enum conf_change {
	CHANGE_NONE,
	CHANGE_STREAMS,		/* decimated streams (or stale_after) only */
	CHANGE_WORKER,		/* a new segment and worker, same sockets */
	CHANGE_SOCKET,		/* the input socket as well */
};

enum conf_change	conf_compare(const struct conf *old_conf,
			    const struct channel_conf *old_channel,
			    const struct conf *new_conf,
			    const struct channel_conf *new_channel)
			    ATTR_NONNULL;

/* Whether the datums, and what is looked for in them, are the same. */
bool	conf_same_payload(const struct channel_conf *a,
	    const struct channel_conf *b) ATTR_NONNULL;

/* Whether a channel's `hosts' have this one among them. */
bool	conf_names_host(const struct channel_conf *channel, const char *host)
	    ATTR_NONNULL;

/* Whether there is a channel at which hosts take turns. */
bool	conf_has_leases(const struct conf *conf) ATTR_NONNULL;

/* Whether an output is one of a program in the kernel. */
bool	conf_relays_by_kernel(const struct channel_conf *channel) ATTR_NONNULL;
/* Whether mcrelay-web is to run. */
bool	conf_has_web(const struct conf *conf) ATTR_NONNULL;
/* How many forwarders are to run. */
unsigned	conf_forwarders(const struct conf *conf) ATTR_NONNULL;
/* The pattern's name for a channel; to be freed. */
char	*conf_forward_name(const char *pattern, const char *host,
	    const char *channel) ATTR_NONNULL;
/* Whether each channel has a user of its own. */
bool	conf_own_users(const struct conf *conf) ATTR_NONNULL;
/* All that is said of users, to be compared; to be freed. */
char	*conf_users_text(const struct conf *conf) ATTR_NONNULL;

/* The channel of this name, or NULL. */
struct channel_conf	*conf_channel(const struct conf *conf,
			    const char *name) ATTR_NONNULL;

/* The name of the channel that archives a stream; false: too long for one.
 * The names in a configuration have no dots. */
bool	conf_stream_archive_name(char name[static CHANNEL_NAME_MAX + 1],
	    const char *channel, const char *stream) ATTR_NONNULL;
/* The channel in the file whose stream it archives, or of which it is a
 * shard. */
void	conf_parent_name(char name[static CHANNEL_NAME_MAX + 1],
	    const char *channel) ATTR_NONNULL;

#endif /* MCRELAY_CONF_H */
