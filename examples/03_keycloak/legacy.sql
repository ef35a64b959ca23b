-- The tables of a Keycloak server that people, their credentials and roles are in; its other tables stay behind.
CREATE TABLE realm (id varchar(36) PRIMARY KEY, name varchar(255) UNIQUE, enabled boolean NOT NULL DEFAULT false);

CREATE TABLE user_entity (
    id varchar(36) PRIMARY KEY,
    realm_id varchar(255),
    username varchar(255),
    email varchar(255),
    email_constraint varchar(255),
    email_verified boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT false,
    first_name varchar(255),
    last_name varchar(255),
    created_timestamp bigint,
    federation_link varchar(255),
    service_account_client_link varchar(255),
    not_before int NOT NULL DEFAULT 0,
    UNIQUE (realm_id, email_constraint),
    UNIQUE (realm_id, username)
);

CREATE TABLE credential (
    id varchar(36) PRIMARY KEY,
    user_id varchar(36) REFERENCES user_entity,
    type varchar(255),
    secret_data text,
    credential_data text,
    created_date bigint,
    salt bytea,
    user_label varchar(255),
    priority int
);

CREATE TABLE user_attribute (
    id varchar(36) PRIMARY KEY,
    user_id varchar(36) NOT NULL REFERENCES user_entity,
    name varchar(255) NOT NULL,
    value varchar(255)
);

CREATE TABLE keycloak_role (
    id varchar(36) PRIMARY KEY,
    realm varchar(36) REFERENCES realm,
    realm_id varchar(255),
    name varchar(255),
    description varchar(255),
    client varchar(36),
    client_realm_constraint varchar(255),
    client_role boolean NOT NULL DEFAULT false
);

CREATE TABLE user_role_mapping (
    role_id varchar(255) NOT NULL,
    user_id varchar(36) NOT NULL REFERENCES user_entity,
    PRIMARY KEY (role_id, user_id)
);
