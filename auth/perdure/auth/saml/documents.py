"""PURE: XML that strangers send, and what of it is signed.

Whatever is read of a document is read from what was signed, parsed anew, and from nothing beside it. The forms in which
a signature covers one thing and a reader sees another are refused besides: more than one assertion, ids that are there
twice, comments within values, definitions of entities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate, InvalidDigest, SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from perdure.auth.saml import names

_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_ID = "ID"
#: What libraries raise for what is no signature, beside their own errors.
_BROKEN = (SignXMLException, etree.LxmlError, ValueError, TypeError, AttributeError, KeyError)


class SamlRefused(Exception):
    """An answer of an identity provider proves nothing, and why. Nothing that it says is in the message."""


def parse(document: bytes) -> etree._Element:
    """Raises SamlRefused: it is no XML, or has what no answer needs."""
    try:
        root = etree.fromstring(document, _parser())
    except (etree.LxmlError, ValueError):
        raise SamlRefused("it is no XML") from None
    tree = root.getroottree()
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise SamlRefused("it defines entities (DTD)")
    if tree.xpath("//comment() | //processing-instruction()"):
        raise SamlRefused("it has comments or processing instructions")
    ids = [value for each in root.iter(etree.Element) for name, value in each.items() if name.lower() == "id"]
    if len(ids) != len(set(ids)):
        raise SamlRefused("it has an id twice")
    return root


def signed(element: etree._Element, certificates: Sequence[str], now: datetime) -> etree._Element:
    """What an element, which has its own signature, is according to that signature. It is parsed anew.

    Raises:
        SamlRefused: it is not signed, or not as a whole, or with none of these certificates.
    """
    expected = element.tag, element.get(_ID)
    if not expected[1]:
        raise SamlRefused("what is signed has no ID")
    # By itself, so that a reference cannot lead out of it.
    content = etree.tostring(element, with_tail=False)
    found = _verified(content, certificates, now).signed_xml
    if found is None or (found.tag, found.get(_ID)) != expected:
        raise SamlRefused("its signature is about something else")
    return found


def _verified(content: bytes, certificates: Iterable[str], now: datetime) -> VerifyResult:
    configuration = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=now,
    )
    reason = "it is signed with none of the connection's certificates, or was changed after that"
    for pem in certificates:
        try:
            found = XMLVerifier().verify(
                content,
                x509_cert=x509.load_pem_x509_certificate(pem.encode()),
                parser=_parser(),
                id_attribute=_ID,
                expect_config=configuration,
            )
        except InvalidDigest:
            reason = "it was changed after it was signed"
        except InvalidCertificate:
            reason = "the certificate that it is signed with is not valid now"
        except _BROKEN:
            continue
        else:
            assert isinstance(found, VerifyResult)
            return found
    raise SamlRefused(reason)


def signature_of(element: etree._Element) -> etree._Element | None:
    """Its own signature, as a child. Raises SamlRefused: it has several."""
    found = element.findall(names.signature("Signature"))
    if len(found) > 1:
        raise SamlRefused("it has several signatures")
    return found[0] if found else None


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
