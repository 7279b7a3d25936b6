/* SPDX-License-Identifier: ISC */
/*
 * What the files of the doctor share.  For nobody else.
 *
 * Each check runs in a process of its own, all at the same time: it may wait,
 * hang or die, and keeps nobody else waiting (doctor.c).  It looks at the
 * world and says what it finds, a finding for each thing that it looked at.
 */
#ifndef MCRELAY_DOCTOR_PRIV_H
#define MCRELAY_DOCTOR_PRIV_H

#include <sys/socket.h>
#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"
#include "supervisor/doctor/checks.h"

enum doctor_result {
	DOCTOR_OK,
	DOCTOR_WARN,
	DOCTOR_FAIL,
	DOCTOR_SKIP,	/* not looked at */
	DOCTOR_RESULTS
};

/* What the checks see. */
struct doctor {
	const struct conf	*conf;
	const json_t		*facts;	/* NULL: no daemon was asked */
	bool			 disk;
	FILE			*out;	/* findings, a line of JSON each */
	char			 mend[512];	/* of the next finding */
};

/*** The table (table.c). ***/

struct doctor_check {
	const char	*name;
	void		(*run)(struct doctor *doctor);
	const char	*why;		/* it matters */
	unsigned	 patience_s;	/* then it hangs */
};

extern const struct doctor_check doctor_table[];
extern const size_t doctor_checks;

/*** Saying what was found. ***/

/* The command that mends what the next finding tells. */
void	doctor_mend(struct doctor *doctor, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);
/* A finding on `subject' ("": the host): what was measured. */
void	doctor_say(struct doctor *doctor, enum doctor_result result,
	    const char *subject, const char *fmt, ...) ATTR_PRINTF(4, 5);

/*** Looking (look.c).  Bounded in size; never trusts what it reads. ***/

/* The text of a file, to be freed; NULL with errno. */
char	*look_text(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* The first number in a file; false: there is none. */
bool	look_number(int64_t *value, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Where a symbolic link leads, to be freed; NULL with errno. */
char	*look_link(const char *fmt, ...) ATTR_PRINTF(1, 2);
bool	look_exists(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* "64 MiB", "1.5 GiB", for people. */
#define LOOK_SIZE_TEXT	32
const char	*look_size(uint64_t bytes, char text[static LOOK_SIZE_TEXT]);
/* Counters that are looked at twice: waits so long in between. */
void	look_again_later(void);

/*** Interfaces (links.c). ***/

struct link_use {
	char	name[IF_NAMESIZE];
	bool	input;
	bool	output;
	bool	group;		/* one that is heard or sent there */
	bool	named;		/* by the configuration: it has to be there */
	bool	loopback;
};

/* Those that the configuration uses, also by way of routes, each once; to be
 * freed. */
size_t	links_used(const struct conf *conf, struct link_use **links)
	    ATTR_NONNULL;
/* IFF_UP and so on; -1: there is no such interface. */
int	links_flags(const char *name) ATTR_NONNULL;
/* Bytes; 0: not known. */
unsigned	links_mtu(const char *name) ATTR_NONNULL;
/* The interface that a datagram to there leaves by; 0: there is no route,
 * -1: not known. */
int	links_route(const struct sockaddr_storage *to) ATTR_NONNULL;
/* The interface that a channel hears on, "": any. */
void	links_input(const struct listen_config *listen,
	    char name[static IF_NAMESIZE]) ATTR_NONNULL;
void	links_output(const struct destination_conf *to,
	    char name[static IF_NAMESIZE]) ATTR_NONNULL;

/*** What the daemon has told. ***/

/* Of a channel; NULL: nothing. */
const json_t	*facts_status(const struct doctor *doctor, const char *channel)
		    ATTR_NONNULL;
uint64_t	facts_count(const json_t *object, const char *name);
/* Of a part of the channel's status ("socket"); 0: nothing is known. */
uint64_t	facts_of(const struct doctor *doctor, const char *channel,
		    const char *part, const char *name) ATTR_NONNULL;
/* A counter of the channel's ledger; 0: nothing is known. */
uint64_t	facts_ledger(const struct doctor *doctor, const char *channel,
		    const char *counter) ATTR_NONNULL;
/* The daemon's process, or we. */
pid_t	facts_pid(const struct doctor *doctor) ATTR_NONNULL;
/* Bytes of the channel's receive buffer: had, or what one would get. */
uint64_t	facts_buffer(const struct doctor *doctor,
		    const struct channel_conf *channel) ATTR_NONNULL;

/*** All checks (checks.h): doctor_check_NAME(). ***/

#define DOCTOR_DECLARE(name, patience, why)				\
void	doctor_check_##name(struct doctor *doctor) ATTR_NONNULL;
DOCTOR_CHECKS(DOCTOR_DECLARE)
#undef DOCTOR_DECLARE

#endif /* MCRELAY_DOCTOR_PRIV_H */
