"""The tables of object stores that pipelines may use."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class StorageTable(SettingsTable):
    """A bucket, or a part of one, that steps may use, by its name here. Credentials are in environment variables."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("bucket", "uri", "address", "container", "path"), "url"),
        **dict.fromkeys(("readonly", "writable", "write", "writes"), "read_only"),
        **dict.fromkeys(("endpoint_url", "host"), "endpoint"),
        **dict.fromkeys(("account_name", "storage_account"), "account"),
        **dict.fromkeys(("key", "access_key", "access_key_id", "aws_access_key_id"), "key_env"),
        **dict.fromkeys(
            ("secret", "secret_key", "secret_access_key", "aws_secret_access_key", "account_key", "credentials"),
            "secret_env",
        ),
        **dict.fromkeys(("token", "session_token", "sas_token"), "token_env"),
        **dict.fromkeys(("anon", "public", "skip_signature"), "anonymous"),
    }

    url: kinds.Text | None = setting(
        '"s3://acme-reports/monthly"',
        "required: the bucket, and the part of it that steps may use: `s3://`, `gs://`, `az://` (an Azure container), "
        "`file:///DIRECTORY`, or `file:DIRECTORY` relative to the project",
    )
    read_only: kinds.Flag = setting("false", "false lets steps write and delete; by default they can only read", True)
    region: kinds.Text | None = setting('"eu-central-1"', "the region of an S3 bucket; by default `us-east-1`")
    endpoint: kinds.Text | None = setting(
        '"https://objects.example.com"', "the address of another server that speaks the protocol, such as MinIO or R2"
    )
    account: kinds.Text | None = setting('"acmereports"', "the storage account of a container of Azure")
    key_env: kinds.Variable | None = setting('"REPORTS_KEY"', "the variable with the access key id of S3")
    secret_env: kinds.Variable | None = setting(
        '"REPORTS_SECRET"',
        "the variable with the secret access key of S3, the account key of Azure, or the JSON key of a service account "
        "of Google; by default the credentials of the machine are used, as by the provider's own programs",
    )
    token_env: kinds.Variable | None = setting(
        '"REPORTS_TOKEN"', "the variable with the session token of S3, or the SAS token of Azure"
    )
    anonymous: kinds.Flag = setting("true", "true for a public bucket that is read without credentials", False)


class StorageSection(Section):
    """Object stores."""

    storage: dict[kinds.StorageName, StorageTable] = Field({})
