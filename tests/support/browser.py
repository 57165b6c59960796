"""What a browser does with our pages, as far as they need one: cookies, forms, and going on to where a page says."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """`refresh` is where the browser goes on by itself, `text` what is read on it."""

    response: httpx.Response
    forms: list[Form]
    text: str
    refresh: str

    @property
    def status(self) -> int:
        return self.response.status_code

    def form(self, step: str) -> Form:
        return next(form for form in self.forms if form.fields.get("step") == step)

    @property
    def steps(self) -> list[str]:
        return [form.fields["step"] for form in self.forms if "step" in form.fields]


class Browser:
    """One with its own cookies. The client must not follow redirects by itself."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def open(self, url: str) -> Page:
        """Follows redirects, as long as they lead to the same host."""
        response = await self.client.get(url, headers={"sec-fetch-site": "none"})
        return await self._shown(response)

    async def submit(self, page: Page, step: str, number: int = 0, **typed: str) -> Page:
        """The form of this step (of several: the one of this number), with what is typed."""
        form = [form for form in page.forms if form.fields.get("step") == step][number]
        return await self.post(urljoin(str(page.response.url), form.action), {**form.fields, **typed})

    async def post(self, url: str, fields: dict[str, str], **headers: str) -> Page:
        sent = {"sec-fetch-site": "same-origin", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self._shown(await self.client.post(url, data=fields, headers=sent))

    async def _shown(self, response: httpx.Response) -> Page:
        while response.is_redirect:
            assert response.headers["location"].startswith("/"), "to another page of ours"
            response = await self.client.get(urljoin(str(response.url), response.headers["location"]))
        parser = _Parser()
        parser.feed(response.text)
        return Page(response, parser.forms, " ".join(" ".join(parser.texts).split()), parser.refresh)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self.refresh = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        # Nothing of the kind may ever be in one of our pages.
        assert tag not in ("script", "style", "iframe", "object") and not any(name.startswith("on") for name in found)
        assert "style" not in found
        if tag == "form":
            self.forms.append(Form(found["action"]))
        elif tag == "input":
            self.forms[-1].fields[found["name"]] = found.get("value", "")
        elif tag == "meta" and found.get("http-equiv") == "refresh":
            self.refresh = found["content"].partition("url=")[2]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
