/* SPDX-License-Identifier: ISC */
/*
 * What the files of mcrelay-web share.
 */
#ifndef MCRELAY_WEB_PRIV_H
#define MCRELAY_WEB_PRIV_H

#include <sys/queue.h>
#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "metrics/metrics.h"

/* So long for an answer of the supervisor, then 503. */
#define WEB_ANSWER_NS	(1 * NS_PER_S)

/* More channels by name than that are too many for a request. */
#define WEB_CHANNELS_MAX	64U

struct live;

enum request_kind {
	REQUEST_METRICS,
	REQUEST_STATUS,
	REQUEST_LIVE,
};

/* A request, from its headers to its end. */
struct request {
	enum request_kind	 kind;
	TAILQ_ENTRY(request)	 link;		/* while it waits */
	bool			 waits;
	struct MHD_Connection	*connection;
	uint64_t		 deadline_ns;	/* CLOCK_MONOTONIC */
	bool			 gzip;
	struct metrics_choice	 choice;
	char			*channels[WEB_CHANNELS_MAX];
	const char		*wrong;		/* with the query; NULL */
	struct answer		*answer;	/* NULL: not known yet */
	struct live		*live;		/* REQUEST_LIVE, or NULL */
};

TAILQ_HEAD(request_list, request);

/* What its URL and headers ask for. */
struct request	*request_new(struct MHD_Connection *connection,
		    enum request_kind kind);
/* It does not wait, or not any more. */
void	request_free(struct request *request) ATTR_NONNULL;

/* What the supervisor says of everything. */
struct web_status {
	const char		*text;
	size_t			 size;
	const struct node	*node;		/* the same, read */
};

/*** answer.c: texts for requests. ***/

/* One for all that ask the same at the same time. */
struct answer {
	unsigned		 users;
	unsigned		 code;
	struct MHD_Response	*response;	/* NULL: no memory */
};

struct made {
	const struct request	*request;
	struct answer		*answer;
};

/* What was made for others with the same status, whose requests must stay;
 * begins with zeros. */
struct answers {
	struct made	*made;		/* metrics */
	size_t		 count;
	size_t		 size;		/* bytes, for those who choose */
	struct answer	*status[2];	/* gzip */
};

/* `status' NULL: the supervisor does not answer.  All are the caller's.  NULL:
 * it has to wait for another status. */
struct answer	*answer_request(struct answers *answers,
		    const struct request *request,
		    const struct web_status *status);
struct answer	*answer_live(struct live *live) ATTR_NONNULL;
struct answer	*answer_text(unsigned code, const char *text) ATTR_NONNULL;
/* The streams as they are known; forgets what was made of them. */
struct answer	*answer_streams(bool gzip);
void	answer_forget_streams(void);
void	answer_release(struct answer *answer);
/* The text with gzip, to be freed; NULL: it cannot be done. */
char	*answer_packed(const char *text, size_t size, size_t *packed_size)
	    ATTR_NONNULL;
void	answers_done(struct answers *answers) ATTR_NONNULL;

/*** ask.c: the supervisor. ***/

/* What it says as text, or NULL when it says none; it stays where it came
 * from. */
typedef void	ask_told(const char *text, size_t size);

void	ask_start(struct ev_loop *loop, ask_told *answered,
	    ask_told *streams) ATTR_NONNULL;
/* Unless an answer is awaited already. */
void	ask_status(void);

#endif /* MCRELAY_WEB_PRIV_H */
