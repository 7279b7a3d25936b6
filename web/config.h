/* SPDX-License-Identifier: ISC */
/*
 * What the supervisor has told: who may read.  mcrelay-web only.
 */
#ifndef MCRELAY_WEB_TOLD_H
#define MCRELAY_WEB_TOLD_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/web_config.h"

struct web_user {
	char	name[WEB_NAME_SIZE];
	char	hash[WEB_HASH_SIZE];
};

/* Before the sandbox; ends the process when there is nothing. */
void	config_load(void);
/* The certificate or key; NULL: there is none.  Until config_forget(). */
const char	*config_text(enum web_text which);
void	config_forget(void);

/* 0: nobody is asked who they are. */
size_t	config_users(void);
const struct web_user	*config_user(size_t index);
/* NULL: nobody. */
const struct web_user	*config_find_user(const char *name) ATTR_NONNULL;

/* An address as a prefix has it, v4 as ::ffff:a.b.c.d; of a Unix socket all
 * zero. */
#define CONFIG_ADDRESS_SIZE	16
void	config_address(const struct sockaddr *sa,
	    uint8_t address[static CONFIG_ADDRESS_SIZE]) ATTR_NONNULL;
/* Who that is: of IPv6 the network of 64 bits, within which addresses are
 * free. */
void	config_client(const struct sockaddr *sa,
	    uint8_t client[static CONFIG_ADDRESS_SIZE]) ATTR_NONNULL;
/* An address for people, without the port. */
#define CONFIG_FROM_SIZE	48
void	config_from(const struct sockaddr *sa,
	    char text[static CONFIG_FROM_SIZE]) ATTR_NONNULL;
/* Whether somebody from there may connect. */
bool	config_allows(const struct sockaddr *sa) ATTR_NONNULL;

#endif /* MCRELAY_WEB_TOLD_H */
