/* SPDX-License-Identifier: ISC */
/*
 * What mcrelay-web is told at its start, in a sealed memory file that only the
 * supervisor and it have: it opens no files, and whoever may read these may do
 * so for a reason.  The supervisor has checked them.
 *
 *	struct web_config | certificate | key | users
 *
 * Each text ends with a NUL, which its size counts; with size 0 there is none.
 */
#ifndef MCRELAY_WEB_CONFIG_H
#define MCRELAY_WEB_CONFIG_H

#include <stdint.h>

#include "common/channel_config.h"

/* The descriptor of the file; the one before it listens. */
#define WEB_CONFIG_FD		5

#define WEB_ALLOW_MAX		64U
#define WEB_USERS_MAX		1000U
/* A user's name and its hash, with their NULs. */
#define WEB_NAME_SIZE		128
#define WEB_HASH_SIZE		256

enum web_text {
	WEB_CERTIFICATE,	/* PEM, with its chain */
	WEB_KEY,		/* PEM */
	WEB_USERS,		/* lines of NAME:HASH */
	WEB_TEXTS
};

struct web_config {
	struct source_prefix allow[WEB_ALLOW_MAX];
	uint32_t	allows;		/* 0: everybody may connect */
	uint32_t	size[WEB_TEXTS];
};

#endif /* MCRELAY_WEB_CONFIG_H */
